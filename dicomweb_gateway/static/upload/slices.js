// A file read in slices: never more of it in memory than is looked at.

const FIRST = 1 << 16;
const JUMP = 1 << 11;
const MOST = 1 << 18;

/** Bytes of a Blob, of which the last slice that was read is kept. */
export class Slices {
  constructor(blob) {
    this.blob = blob;
    this.size = blob.size;
    this.start = 0;
    this.held = new Uint8Array(0);
    this.next = FIRST;
  }

  /** `count` bytes from `at` on, fewer at the end of the file. */
  async bytes(at, count) {
    const end = Math.min(at + count, this.size);
    if (at < this.start || end > this.start + this.held.length) await this.#read(at, Math.max(count, this.#ahead(at)));
    return this.held.subarray(at - this.start, Math.max(end - this.start, at - this.start));
  }

  /** How much is worth reading: more and more where all is read, little where values are passed over. */
  #ahead(at) {
    const end = this.start + this.held.length;
    if (this.held.length) this.next = at >= this.start && at <= end ? Math.min(this.next * 2, MOST) : JUMP;
    return this.next;
  }

  async #read(at, count) {
    this.held = new Uint8Array(await this.blob.slice(at, at + count).arrayBuffer());
    this.start = at;
  }
}
