// Walks the elements of a data set in a file from head to head (PS3.5 7), as the gateway does when it stores.

const UNDEFINED = 0xffffffff;
const ITEM = 0xfffee000;
const ITEM_END = 0xfffee00d;
const SEQUENCE_END = 0xfffee0dd;
const LONG = new Set(["OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"]);
const DEEPEST = 64;
const MOST_HEADS = 1_000_000;

/** Why a file is not sent, in words for people. */
export class Refused extends Error {}

/** "(0020,000D)". */
export function named(tag) {
  const digits = tag.toString(16).toUpperCase().padStart(8, "0");
  return `(${digits.slice(0, 4)},${digits.slice(4)})`;
}

/** The data set that begins at `start` of `slices`; throws Refused where it is cut off or nonsense. */
export class ElementWalk {
  constructor(slices, start, { implicit = false, bigEndian = false } = {}) {
    Object.assign(this, { slices, start, implicit, bigEndian, heads: 0 });
  }

  /** The elements of the top level in their order: tag, vr ("" where untold), start and end of the value. */
  async *[Symbol.asyncIterator]() {
    let position = this.start;
    while (this.slices.size - position >= 8) {
      const element = await this.#element(position, this.implicit, 0);
      yield element;
      position = element.end;
    }
    const rest = await this.slices.bytes(position, 8);
    if (rest.some((byte) => byte)) throw new Refused("it ends inside the head of an element");
  }

  /** The bytes of a value, a copy. */
  async value({ tag, start, end }, most = 1 << 16) {
    if (end - start > most) throw new Refused(`element ${named(tag)} is too long`);
    return (await this.slices.bytes(start, end - start)).slice();
  }

  async #head(position) {
    this.heads += 1;
    if (this.heads > MOST_HEADS) throw new Refused(`it has more than ${MOST_HEADS} elements and items`);
    const bytes = await this.slices.bytes(position, 12);
    if (bytes.length < 8) throw new Refused("it ends inside the head of an element, a sequence or its pixel data");
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const little = !this.bigEndian;
    return { view, little, tag: view.getUint16(0, little) * 0x10000 + view.getUint16(2, little) };
  }

  async #element(position, implicit, depth) {
    const { view, little, tag } = await this.#head(position);
    let vr = String.fromCharCode(view.getUint8(4), view.getUint8(5));
    let [start, length] = [position + 8, 0];
    if (implicit || !/^[A-Z]{2}$/.test(vr)) [vr, length] = ["", view.getUint32(4, little)];
    else if (!LONG.has(vr)) length = view.getUint16(6, little);
    else if (view.byteLength < 12) throw new Refused(`it ends inside the head of element ${named(tag)}`);
    else [start, length] = [position + 12, view.getUint32(8, little)];
    if (length !== UNDEFINED) return { tag, vr, start, end: this.#within(start + length, tag) };
    // the items of an UN of undefined length are implicit (PS3.5 6.2.2)
    return { tag, vr, start, end: await this.#endOfItems(start, implicit || vr === "UN", depth + 1, tag) };
  }

  async #endOfItems(position, implicit, depth, owner) {
    if (depth > DEEPEST) throw new Refused(`its sequences are nested more than ${DEEPEST} deep`);
    for (;;) {
      const { view, little, tag } = await this.#head(position);
      const length = view.getUint32(4, little);
      position += 8;
      if (tag === SEQUENCE_END) return position;
      if (tag !== ITEM) throw new Refused(`the items of element ${named(owner)} are malformed`);
      if (length === UNDEFINED) position = await this.#endOfItem(position, implicit, depth);
      else position = this.#within(position + length, owner);
    }
  }

  async #endOfItem(position, implicit, depth) {
    while ((await this.#head(position)).tag !== ITEM_END) {
      position = (await this.#element(position, implicit, depth)).end;
    }
    return position + 8;
  }

  #within(position, tag) {
    const missing = position - this.slices.size;
    if (missing > 0) throw new Refused(`it is cut off inside element ${named(tag)}: ${missing} bytes are missing`);
    return position;
  }
}
