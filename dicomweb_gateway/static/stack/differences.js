// Samples out of their differences: what pixels/differences.py has made of them.

/** Put the samples that `bytes` hold as differences into `data`, an array of 8 or 16 bits; `samples` a pixel. */
export function undo(bytes, data, columns, samples) {
  const wide = data.BYTES_PER_ELEMENT;
  const words = wide === 1 ? new Uint8Array(data.buffer) : new Uint16Array(data.buffer);
  const pixels = data.length / samples;
  const line = columns * samples;
  for (let sample = 0; sample < samples; sample += 1) {
    const low = sample * pixels;
    const high = (samples + sample) * pixels;
    for (let at = 0, to = sample; at < pixels; at += 1, to += samples) {
      const coded = wide === 1 ? bytes[low + at] : bytes[low + at] | (bytes[high + at] << 8);
      const step = (coded >>> 1) ^ -(coded & 1);
      const before = at % columns ? words[to - samples] : at ? words[to - line] : 0;
      words[to] = before + step;
    }
  }
}
