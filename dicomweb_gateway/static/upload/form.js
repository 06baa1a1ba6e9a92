// Whether a file is DICOM, by its first bytes, and how its data set is written (PS3.10 7; PS3.5 10).

import { ElementWalk, Refused } from "./elements.js";
import { Slices } from "./slices.js";

const PREAMBLE = 128;
const TRANSFER_SYNTAX = 0x00020010;
const DEFLATED = "1.2.840.10008.1.2.1.99";
const BIG_ENDIAN = "1.2.840.10008.1.2.2";
const MOST_INFLATED = 4 << 20;
const KINDS = [
  ["PK\x03\x04", "a ZIP archive: unpack it first"],
  ["\x1f\x8b", "a gzip archive: unpack it first"],
  ["%PDF", "a PDF document"],
  ["\xff\xd8\xff", "a JPEG picture"],
  ["\x89PNG", "a PNG picture"],
];

/** The walk over a file's data set; `isWhole` false where only its beginning was unpacked. Throws Refused. */
export async function opened(file) {
  if (!file.size) throw new Refused("it is empty");
  const slices = new Slices(file);
  const head = (await slices.bytes(0, PREAMBLE + 4)).slice();
  const hasPrefix = ascii(head.subarray(PREAMBLE)) === "DICM";
  if (!hasPrefix && !startsADataSet(head)) throw new Refused(notDicom(head));
  const { syntax, start } = await meta(slices, hasPrefix ? PREAMBLE + 4 : 0);
  if (syntax !== DEFLATED) return { walk: await walked(slices, start, syntax), isWhole: true };
  const { blob, isWhole } = await inflated(file.slice(start));
  return { walk: await walked(new Slices(blob), 0, syntax), isWhole };
}

/** Bytes as characters, one each. */
export function ascii(bytes) {
  return String.fromCharCode(...bytes);
}

function notDicom(head) {
  const text = ascii(head);
  const kind = KINDS.find(([beginning]) => text.startsWith(beginning));
  return kind ? `not DICOM but ${kind[1]}` : "not DICOM";
}

function startsADataSet(head) {
  if (head.length < 8) return false;
  const view = new DataView(head.buffer, head.byteOffset);
  return [true, false].some((little) => {
    const group = view.getUint16(0, little);
    const isShort = /^[A-Za-z]{2}$/.test(ascii(head.subarray(4, 6))) || view.getUint32(4, little) <= 0xffff;
    return (group === 2 || group === 8) && view.getUint16(2, little) <= 0x0100 && isShort;
  });
}

async function meta(slices, begin) {
  let [syntax, start] = ["", begin];
  if ((await groupAt(slices, start)) !== 2) return { syntax, start };
  const walk = new ElementWalk(slices, begin);
  for await (const element of walk) {
    if (element.tag === TRANSFER_SYNTAX) syntax = ascii(await walk.value(element)).replace(/[\0 ]+$/, "").trim();
    start = element.end;
    if ((await groupAt(slices, start)) !== 2) break;
  }
  return { syntax, start };
}

async function groupAt(slices, position) {
  const [low = 0, high = 0] = await slices.bytes(position, 2);
  return low + high * 256;
}

/** What the first element shows counts more than what the meta information says of implicit and explicit. */
async function walked(slices, start, syntax) {
  const first = await slices.bytes(start, 8);
  const implicit = first.length < 8 || !/^[A-Z]{2}$/.test(ascii(first.subarray(4, 6)));
  const isSwapped = first.length === 8 && first[0] === 0 && first[1] !== 0;
  return new ElementWalk(slices, start, { implicit, bigEndian: syntax === BIG_ENDIAN || (!syntax && isSwapped) });
}

/** The first bytes of what is deflated in `blob`. */
async function inflated(blob) {
  const reader = blob.stream().pipeThrough(new DecompressionStream("deflate-raw")).getReader();
  const pieces = [];
  let size = 0;
  try {
    while (size < MOST_INFLATED) {
      const { done, value } = await reader.read();
      if (done) return { blob: new Blob(pieces), isWhole: true };
      pieces.push(value);
      size += value.length;
    }
  } catch {
    // a byte that pads the file to an even length is none of the data set's, but counts as an error here
    if (!size) throw new Refused("its deflated data set cannot be unpacked");
    return { blob: new Blob(pieces), isWhole: false };
  }
  await reader.cancel();
  return { blob: new Blob(pieces), isWhole: false };
}
