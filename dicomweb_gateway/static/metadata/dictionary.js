// Names of attributes, out of the gateway's dictionary (PS3.6).

import { askJson, root } from "../gateway.js";

/** Knows attributes by tag and by keyword: {tag, keyword, name, vr}. */
export class Dictionary {
  constructor(rows) {
    this.rows = rows;
    this.tags = new Map(Object.entries(rows).map(([tag, [keyword]]) => [keyword, tag]));
  }

  /** The attribute that 8 hex digits or a keyword name; what is unknown keeps its name. */
  find(key) {
    const tag = this.tags.get(key) ?? (/^[0-9A-Fa-f]{8}$/.test(key) ? key.toUpperCase() : "");
    const [keyword, name, vr] = this.rows[tag] ?? [key === tag ? "" : key, privateName(tag), ""];
    return { tag, keyword, name: name || keyword, vr };
  }
}

function privateName(tag) {
  if (!tag) return "";
  return Number.parseInt(tag[3], 16) % 2 ? "Private attribute" : "Unknown attribute";
}

export async function loadDictionary() {
  return new Dictionary(await askJson(`${root}/dictionary`));
}

/** "00100010" as "(0010,0010)". */
export function tagText(tag) {
  return tag ? `(${tag.slice(0, 4)},${tag.slice(4)})` : "";
}
