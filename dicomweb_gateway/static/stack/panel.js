// The figures of loading, and the choice of levels.

import { element } from "../gateway.js";

const UNITS = ["bytes", "kB", "MB", "GB"];

/** 1234567 as "1.23 MB". */
export function bytesText(count) {
  let [value, unit] = [count, 0];
  for (; value >= 1000 && unit < UNITS.length - 1; unit += 1) value /= 1000;
  return `${unit ? value.toPrecision(3) : value} ${UNITS[unit]}`;
}

function milliseconds(value) {
  return value === null || value === undefined ? "…" : value === 0 ? "at once" : `${Math.round(value)} ms`;
}

/** What the image's level takes in the stored frame. */
function codedText(picture) {
  return picture?.facts ? bytesText(picture.facts.levels[picture.facts.level].coded) : "…";
}

/** Write the figures of `loader` into the list `list`, each under its data-figure. */
export function writeFigures(list, loader) {
  const { figures, looked } = loader;
  const rows = [
    ["frames", "Frames", `${loader.loaded} of ${loader.images.length}`],
    ["first", "First picture", milliseconds(looked?.coarse)],
    ["full", "Full picture", milliseconds(looked?.full)],
    ["time", "Loading time", milliseconds(figures.time)],
    ["bytes", "Loaded", bytesText(figures.bytes)],
    ["size", "Decompressed", bytesText(figures.size)],
    ["coded", "Stored of it", codedText(loader.picture(loader.current))],
    ["requests", "Requests", `${figures.requests}, ${figures.cancelled} left`],
    ["kept", "Kept here", bytesText(loader.shelf.bytes)],
  ];
  if (list.childElementCount === 0) {
    for (const [name, title] of rows) list.append(element("dt", {}, title), element("dd", { "data-figure": name }));
  }
  for (const [name, , text] of rows) list.querySelector(`[data-figure="${name}"]`).textContent = text;
}

/** Offer `levels` ([{columns, rows, coded}]) in `select`, the last one chosen. */
export function offerLevels(select, levels) {
  const options = levels.map(({ columns, rows, coded }, level) => {
    const name = level === levels.length - 1 ? `${level}, full` : String(level);
    return element("option", { value: level, title: `${bytesText(coded)} stored` }, `${name}: ${columns} × ${rows}`);
  });
  select.replaceChildren(...options);
  select.value = String(levels.length - 1);
}
