// Windows to choose from: those of the image, and the usual ones of its modality.

const USUAL = {
  CT: [
    ["Soft tissue", 40, 400],
    ["Lung", -600, 1500],
    ["Bone", 480, 2500],
    ["Brain", 40, 80],
    ["Abdomen", 60, 400],
    ["Mediastinum", 50, 350],
    ["Liver", 80, 150],
  ],
};

/** [{title, window}] for an image; window null stands for the image's own. */
export function presetsOf(facts, modality) {
  const own = (facts?.windows ?? []).slice(1, 4).map((window, at) => ({ title: `Image's window ${at + 2}`, window }));
  const usual = (USUAL[modality] ?? []).map(([title, center, width]) => ({ title, window: [center, width, "LINEAR"] }));
  return [
    { title: "Image's own", window: null },
    { title: "All values", window: "all" },
    ...own,
    ...usual,
  ];
}

/** `window` after a drag of `dx`, `dy` pixels: across is width, down is center. */
export function dragged([center, width, kind], dx, dy, extent) {
  const step = (extent || 256) / 1024;
  const least = kind === "LINEAR" ? 1 : Math.min(step, 1);
  return [center + dy * step, Math.max(least, width + dx * step), kind];
}

/** A number as people read it. */
export function rounded(value) {
  return Math.abs(value) >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}
