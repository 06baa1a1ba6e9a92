// Documents as trees: {tag, name, keyword, vr, text, below}; `below` makes the nodes inside, null for none.

import { shown } from "../dicom.js";

const LONGEST = 4000;

/** Nodes of one data set of the DICOM JSON model. */
export function ofDataSet(dataSet, dictionary) {
  return Object.entries(dataSet).map(([key, element]) => {
    const { tag, name, keyword } = dictionary.find(key);
    const { vr, Value: values = [], BulkDataURI: address, InlineBinary: inline } = element;
    const node = { key, tag, name, keyword, vr, text: "", below: null };
    if (vr === "SQ") return { ...node, ...ofItems(values, (item) => ofDataSet(item, dictionary)) };
    if (address) node.text = `bulk data at ${address}`;
    else if (inline !== undefined) node.text = `${Math.floor((inline.length * 3) / 4)} bytes inline`;
    else node.text = cut(values.map(shown).join(" \\ "));
    return node;
  });
}

/** Nodes of HealthImaging's metadata document: patient, study, series, instances (healthimaging.md 2). */
export function ofImageSet(document, dictionary) {
  return Object.entries(document).map(([key, value]) => ofMember(key, value, {}, dictionary));
}

function ofMember(key, value, vrs, dictionary) {
  if (key === "DICOM") {
    return { ...named(key, "Attributes"), ...countOf(value, "attribute"), below: () => ofAttributes(value, vrs, dictionary) };
  }
  if (Array.isArray(value)) return { ...named(key), ...ofItems(value, (item) => ofObject(item, dictionary)) };
  if (value !== null && typeof value === "object") {
    return { ...named(key), ...countOf(value, "member"), below: () => ofObject(value, dictionary) };
  }
  return { ...named(key), text: cut(String(value ?? "")) };
}

function ofObject(value, dictionary) {
  if (value === null || typeof value !== "object") return [{ ...named(""), text: cut(String(value ?? "")) }];
  const vrs = value.DICOMVRs ?? {};
  return Object.entries(value).map(([key, member]) => ofMember(key, member, vrs, dictionary));
}

function ofAttributes(attributes, vrs, dictionary) {
  return Object.entries(attributes).map(([key, value]) => {
    const { tag, name, keyword, vr } = dictionary.find(key);
    const node = { key, tag, name, keyword, vr: vrs[key] ?? vr, text: "", below: null };
    const isSequence = Array.isArray(value) && value.some((one) => one !== null && typeof one === "object");
    if (isSequence) return { ...node, ...ofItems(value, (item) => ofAttributes(item, item.DICOMVRs ?? vrs, dictionary)) };
    node.text = cut([value].flat().map((one) => (one === null ? "" : plain(one))).join(" \\ "));
    return node;
  });
}

function plain(value) {
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function named(key, name = key) {
  return { key, tag: "", name, keyword: "", vr: "", text: "", below: null };
}

function countOf(value, what) {
  const count = Object.keys(value ?? {}).length;
  return { text: `${count} ${what}${count === 1 ? "" : "s"}` };
}

function ofItems(items, inside) {
  const text = `${items.length} item${items.length === 1 ? "" : "s"}`;
  const below = () => items.map((item, at) => ({ ...named(String(at), `Item ${at + 1}`), below: () => inside(item ?? {}) }));
  return { text, below: items.length ? below : null };
}

function cut(text) {
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}… (${text.length} characters)` : text;
}
