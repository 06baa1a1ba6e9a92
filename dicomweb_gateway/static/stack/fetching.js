// One picture of an image: the pixels of a level, or what the gateway has rendered.

import { LENIENT, ask } from "../gateway.js";
import { addressOf } from "../places.js";
import { undo } from "./differences.js";

const ARRAYS = {
  u1: Uint8Array, i1: Int8Array, u2: Uint16Array, i2: Int16Array,
  u4: Uint32Array, i4: Int32Array, f4: Float32Array, f8: Float64Array,
};

/** The pixels of level `level`, a number or "last": {facts, columns, rows, samples, data, isLast, bytes, size}.
 *
 * `bytes` were sent, `size` are those of the pixels. `facts` are told in routes/pixel_levels.py.
 */
export async function fetchLevel(series, image, level, signal) {
  const place = { ...series, instance: image.instance };
  const address = addressOf(place, "frames", image.frame, "levels", level);
  const answer = await ask(`${address}?coding=differences`, { signal, headers: LENIENT });
  const facts = JSON.parse(answer.headers.get("Image-Description"));
  const buffer = await answer.arrayBuffer();
  const { columns, rows, samples } = facts;
  let data = new ARRAYS[facts.type](buffer);
  if (data.length !== columns * rows * samples) throw new RangeError("a level is not as long as it should be");
  if (facts.coding === "differences") {
    data = new ARRAYS[facts.type](data.length);
    undo(new Uint8Array(buffer), data, columns, samples);
  }
  const isLast = facts.level === facts.levels.length - 1;
  return { facts, columns, rows, samples, data, isLast, bytes: sent(answer, buffer.byteLength), size: buffer.byteLength };
}

/** The picture as JPEG: {bitmap, columns, rows, bytes, size}; `window` [center, width, function] or null. */
export async function fetchRendered(series, image, { side, window }, signal) {
  const place = { ...series, instance: image.instance };
  const query = new URLSearchParams({ quality: 90 });
  if (side) query.set("viewport", `${side},${side}`);
  if (window) query.set("window", `${window[0]},${window[1]},${window[2].toLowerCase().replace("_", "-")}`);
  const address = addressOf(place, "frames", image.frame, "rendered");
  const answer = await ask(`${address}?${query}`, { signal, headers: { ...LENIENT, Accept: "image/jpeg" } });
  const blob = await answer.blob();
  const bitmap = await createImageBitmap(blob);
  const size = bitmap.width * bitmap.height * 4;
  return { bitmap, columns: bitmap.width, rows: bitmap.height, bytes: sent(answer, blob.size), size };
}

function sent(answer, length) {
  return Number(answer.headers.get("Content-Length")) || length;
}
