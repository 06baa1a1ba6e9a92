// The images of a series in their order: an instance of several frames is several images.

import { TAG, first } from "../dicom.js";
import { askRows } from "../gateway.js";
import { addressOf } from "../places.js";

const FIELDS = "NumberOfFrames,Rows,Columns,FrameTime,RecommendedDisplayFrameRate,AvailableTransferSyntaxUID";
const VIDEO = /^1\.2\.840\.10008\.1\.2\.4\.10[0-8](\.1)?$/;
const DOCUMENTS = "1.2.840.10008.5.1.4.1.1.104.";

/** {images: [{instance, frame, of, rows, columns}], others: [{instance, kind}], rate} of the series at `place`.
 *
 * Others are a "video", a "document" or "other": what has no image. `rate` is in frames a second, undefined
 * where the series does not say.
 */
export async function imagesOf(place) {
  const found = { images: [], others: [], rate: undefined };
  for (const row of await askRows(addressOf(place, "instances"), { includefield: FIELDS })) add(found, row);
  return found;
}

function add(found, row) {
  const instance = first(row, TAG.instance);
  const kind = kindOf(row);
  if (kind !== "image") {
    found.others.push({ instance, kind });
    return;
  }
  const count = Math.max(1, Number(first(row, TAG.frames) ?? 1));
  const [rows, columns] = [Number(first(row, TAG.rows)), Number(first(row, TAG.columns))];
  for (let frame = 1; frame <= count; frame += 1) found.images.push({ instance, frame, of: count, rows, columns });
  found.rate ??= rateOf(row);
}

function kindOf(row) {
  if (VIDEO.test(first(row, TAG.transferSyntax) ?? "")) return "video";
  if (first(row, TAG.sopClass)?.startsWith(DOCUMENTS)) return "document";
  return first(row, TAG.rows) ? "image" : "other";
}

function rateOf(row) {
  const milliseconds = Number(first(row, TAG.frameTime));
  const rate = Number(first(row, TAG.rate)) || (milliseconds > 0 ? 1000 / milliseconds : 0);
  return rate > 0 ? Math.min(60, Math.max(1, Math.round(rate))) : undefined;
}
