// Pictures that are kept, within a budget of bytes: what is furthest from the current image goes first.

const GIGABYTES = navigator.deviceMemory ?? 4;
const BUDGET = Math.min(512, GIGABYTES * 64) * 1024 * 1024;

/** Pictures by the index of their image; of each the best one. */
export class Shelf {
  constructor(budget = BUDGET) {
    Object.assign(this, { budget, kept: new Map(), bytes: 0, countFull: 0 });
  }

  get(index) {
    return this.kept.get(index)?.picture;
  }

  has(index) {
    return this.kept.has(index);
  }

  isFull(index) {
    return this.kept.get(index)?.isFull ?? false;
  }

  /** Whether what lies `away` from `current` would push out what is nearer. */
  isOver(current, away) {
    if (this.bytes < this.budget) return false;
    for (const index of this.kept.keys()) if (Math.abs(index - current) > away) return false;
    return true;
  }

  put(index, picture, isFull, current) {
    if (!isFull && this.isFull(index)) return;
    this.#drop(index);
    this.kept.set(index, { picture, isFull });
    this.bytes += picture.size;
    this.countFull += isFull ? 1 : 0;
    while (this.bytes > this.budget && this.kept.size > 1) this.#drop(this.#furthest(current));
  }

  clear() {
    for (const index of [...this.kept.keys()]) this.#drop(index);
  }

  #furthest(current) {
    return [...this.kept.keys()].reduce((far, index) => (Math.abs(index - current) > Math.abs(far - current) ? index : far));
  }

  #drop(index) {
    const old = this.kept.get(index);
    if (!old) return;
    this.bytes -= old.picture.size;
    this.countFull -= old.isFull ? 1 : 0;
    this.kept.delete(index);
  }
}
