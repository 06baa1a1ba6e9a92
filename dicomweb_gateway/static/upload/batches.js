// Requests that store (STOW-RS, PS3.18 10.5): how many files one takes, and its body.

export const MOST = { files: 50, bytes: 16 << 20 };

/** Take the next batch off the front of `waiting`: within the limits, at least one. */
export function nextBatch(waiting, most = MOST) {
  let bytes = 0;
  let count = 0;
  for (const { file } of waiting) {
    bytes += file.size;
    if (count === most.files || (count && bytes > most.bytes)) break;
    count += 1;
  }
  return waiting.splice(0, count);
}

/** The type and body of a request with `files`, which the browser reads while it sends. */
export function bodyOf(files) {
  const random = crypto.getRandomValues(new Uint8Array(16));
  const boundary = `upload-${Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  const head = `--${boundary}\r\nContent-Type: application/dicom\r\n\r\n`;
  const body = new Blob([...files.flatMap((file) => [head, file, "\r\n"]), `--${boundary}--\r\n`]);
  return { type: `multipart/related; type="application/dicom"; boundary=${boundary}`, body };
}

/** How many bytes of each of `items`, which are sent one behind the other, are gone with a `share` of all, 0 to 1. */
export function goneOf(items, share) {
  let left = share * items.reduce((sum, { file }) => sum + file.size, 0);
  return items.map(({ file: { size } }) => {
    const gone = Math.min(size, Math.floor(left));
    left -= gone;
    return gone;
  });
}
