// Values to grey levels: the window functions of PS3.3 C.11.2.1 over typed arrays.

const WHITE = 255;

/** The function from modality values to 0..255 that `window` ([center, width, function]) means. */
export function greyOf([center, width, kind]) {
  if (kind === "SIGMOID") return (value) => WHITE / (1 + Math.exp((-4 * (value - center)) / width));
  if (kind === "LINEAR") {
    const [middle, wide] = [center - 0.5, width - 1];
    if (wide <= 0) return (value) => (value <= middle ? 0 : WHITE);
    return (value) => clamped(((value - middle) / wide + 0.5) * WHITE);
  }
  if (width <= 0) return (value) => (value > center ? WHITE : 0);
  return (value) => clamped(((value - center) / width + 0.5) * WHITE);
}

/** The curve of a VOI LUT over its own window: grey levels at even steps, as base64. */
function curveOf([center, width], packed) {
  const greys = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
  const last = greys.length - 1;
  return (value) => {
    const place = Math.min(last, Math.max(0, ((value - center) / width + 0.5) * last));
    const below = Math.floor(place);
    return greys[below] + (greys[Math.min(below + 1, last)] - greys[below]) * (place - below);
  };
}

function clamped(grey) {
  return grey < 0 ? 0 : grey > WHITE ? WHITE : grey;
}

/** The window from the smallest to the largest value that is no padding, for pictures that name none. */
export function widest({ data, facts }) {
  const [least, most] = facts.padding ?? [Infinity, -Infinity];
  let [low, high] = [Infinity, -Infinity];
  for (const value of data) {
    if (value >= least && value <= most) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low > high) return facts.padding ? widest({ data, facts: { ...facts, padding: null } }) : [0, 0, "LINEAR_EXACT"];
  const ends = [low, high].map((value) => value * facts.slope + facts.intercept).sort((a, b) => a - b);
  return [(ends[0] + ends[1]) / 2, ends[1] - ends[0], "LINEAR_EXACT"];
}

/** The picture's pixels as ImageData; `window` for grey, `isInverted` for both. */
export function shaded(picture, window, isInverted) {
  const made = new ImageData(picture.columns, picture.rows);
  const pixels = new Uint32Array(made.data.buffer);
  if (picture.samples === 3) colour(picture.data, pixels, isInverted ? WHITE : 0);
  else grey(picture, pixels, window, isInverted !== picture.facts.inverse);
  return made;
}

function colour(data, pixels, flip) {
  for (let at = 0, from = 0; at < pixels.length; at += 1, from += 3) {
    pixels[at] = 0xff000000 | ((data[from + 2] ^ flip) << 16) | ((data[from + 1] ^ flip) << 8) | (data[from] ^ flip);
  }
}

function grey({ data, facts }, pixels, window, isInverted) {
  const toGrey = facts.curve && window === facts.windows[0] ? curveOf(window, facts.curve) : greyOf(window);
  const opaque = (value) => {
    const level = Math.round(toGrey(value * facts.slope + facts.intercept)) || 0;
    return 0xff000000 | ((isInverted ? WHITE - level : level) * 0x010101);
  };
  if (data.BYTES_PER_ELEMENT > 2 || data instanceof Float32Array) {
    for (let at = 0; at < pixels.length; at += 1) pixels[at] = opaque(data[at]);
    return;
  }
  const table = tableOf(data, opaque);
  const { levels, least } = table;
  for (let at = 0; at < pixels.length; at += 1) pixels[at] = levels[data[at] - least];
}

/** Grey of every value from the smallest to the largest. */
function tableOf(data, opaque) {
  let [least, most] = [data[0], data[0]];
  for (const value of data) {
    if (value < least) least = value;
    else if (value > most) most = value;
  }
  const levels = new Uint32Array(most - least + 1);
  for (let at = 0; at < levels.length; at += 1) levels[at] = opaque(at + least);
  return { levels, least };
}
