// The tree as a table: rows that open, and a search through all of it.

import { element } from "../gateway.js";
import { tagText } from "./dictionary.js";

const DEEPEST = 5;
const MOST_FOUND = 500;
const MOST_ROWS = 2000;

/** The rows of `nodes`; those with something inside open it. */
export function rowsOf(nodes, depth = 0) {
  const rows = nodes.slice(0, MOST_ROWS).map((node) => rowOf(node, depth));
  if (nodes.length > MOST_ROWS) {
    rows.push(element("tr", { "data-depth": depth }, element("td", { colspan: 4 }, `${nodes.length - MOST_ROWS} more: the search finds them.`)));
  }
  return rows;
}

function rowOf(node, depth) {
  const name = node.below ? element("button", { type: "button", class: "plain", "aria-expanded": "false" }, node.name) : node.name;
  const row = element(
    "tr",
    { class: `deep${Math.min(depth, DEEPEST)}`, "data-depth": depth, "data-key": node.key },
    element("td", {}, tagText(node.tag)),
    element("td", { title: node.keyword }, name),
    element("td", {}, node.vr),
    element("td", {}, node.text),
  );
  if (node.below) toggle(row, name, node, depth);
  return row;
}

function toggle(row, button, node, depth) {
  let inside = [];
  button.addEventListener("click", () => {
    const opens = button.getAttribute("aria-expanded") === "false";
    button.setAttribute("aria-expanded", String(opens));
    if (opens) {
      inside = rowsOf(node.below(), depth + 1);
      row.after(...inside);
    } else close(row, inside);
  });
}

/** Take away what was opened below `row`, deeper rows too. */
function close(row, inside) {
  const last = inside.at(-1);
  if (!last) return;
  const end = depthOf(row);
  for (let next = row.nextElementSibling; next && depthOf(next) > end; next = row.nextElementSibling) next.remove();
  for (const one of inside) one.remove();
}

function depthOf(row) {
  return Number(row.dataset.depth);
}

/** {rows, count, isAll}: the nodes at any depth that hold all of `words`, with the way to each. */
export function found(nodes, words) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  const hits = [];
  const walk = (inside, path) => {
    for (const node of inside) {
      if (hits.length > MOST_FOUND) return;
      if (isHit(node, wanted)) hits.push({ node, path });
      if (node.below) walk(node.below(), [...path, node.name]);
    }
  };
  walk(nodes, []);
  const shown = hits.slice(0, MOST_FOUND);
  return { rows: shown.map((hit) => hitRow(hit, wanted)), count: shown.length, isAll: shown.length === hits.length };
}

function isHit(node, wanted) {
  const text = `${node.tag} ${tagText(node.tag)} ${node.name} ${node.keyword} ${node.vr} ${node.text}`.toLowerCase();
  return wanted.every((word) => text.includes(word));
}

function hitRow({ node, path }, wanted) {
  const way = path.length ? element("div", { class: "soft" }, path.join(" › ")) : null;
  return element(
    "tr",
    { "data-key": node.key },
    element("td", {}, ...marked(tagText(node.tag), wanted)),
    element("td", {}, element("div", {}, ...marked(node.name, wanted)), way),
    element("td", {}, ...marked(node.vr, wanted)),
    element("td", {}, ...marked(node.text, wanted)),
  );
}

/** `text` in pieces, those that were searched for in <mark>. */
function marked(text, wanted) {
  const pieces = [];
  const low = text.toLowerCase();
  // letters that change their length with their case cannot be found again in the text as it is written
  if (low.length !== text.length) return [text];
  let at = 0;
  while (at < text.length) {
    const hits = wanted.map((word) => ({ word, place: low.indexOf(word, at) })).filter(({ place }) => place >= 0);
    const next = hits.sort((a, b) => a.place - b.place || b.word.length - a.word.length)[0];
    if (!next) break;
    pieces.push(text.slice(at, next.place), element("mark", {}, text.slice(next.place, next.place + next.word.length)));
    at = next.place + next.word.length;
  }
  return [...pieces, text.slice(at)].filter((piece) => piece !== "");
}
