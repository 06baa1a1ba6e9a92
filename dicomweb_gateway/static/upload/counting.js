// How many files are in which state, and how far they are: counted while they change, not over and over.

/** Figures of nothing: `files` by state, `bytes` in all, those `gone` (sent, or given up), those of listed and
 * of failed files.
 *
 * `turn` grows with every change, `failures` with every change of what has failed.
 */
export function nothing() {
  const states = { listed: 0, waiting: 0, sending: 0, stored: 0, failed: 0 };
  return { files: 0, bytes: 0, gone: 0, listedBytes: 0, failedBytes: 0, turn: 0, failures: 0, ...states };
}

/** Count `item` in all of `figures` from now on, or with -1 no more. */
export function count(item, figures, way = 1) {
  if (way > 0) item.counted = figures;
  for (const one of figures) {
    one.files += way;
    one.bytes += way * item.file.size;
    one.gone += way * (item.gone ?? 0);
    state(one, item, way);
  }
}

/** Put `item` into the state `to`, for `reason`; nothing of it is on its way then. */
export function move(item, to, reason = "") {
  for (const one of item.counted ?? []) state(one, item, -1);
  Object.assign(item, { state: to, reason });
  for (const one of item.counted ?? []) state(one, item, 1);
  goes(item, to === "stored" || to === "failed" ? item.file.size : 0);
}

/** Note that `bytes` of `item` have gone. */
export function goes(item, bytes) {
  for (const one of item.counted ?? []) {
    one.gone += bytes - (item.gone ?? 0);
    one.turn += 1;
  }
  item.gone = bytes;
}

function state(one, item, way) {
  one.turn += 1;
  one[item.state] += way;
  if (item.state === "failed") one.failures += 1;
  const bytes = `${item.state}Bytes`;
  if (bytes in one) one[bytes] += way * item.file.size;
}
