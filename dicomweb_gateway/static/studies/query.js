// The search: from the form to the page's own address, and from that to the query (QIDO-RS).

import { bases, root } from "../gateway.js";

const BEGINNINGS = ["PatientName", "StudyDescription"];
const EXACT = ["PatientID", "AccessionNumber", "StudyID", "StudyInstanceUID", "ModalitiesInStudy"];
const OTHERS = ["from", "until", "base", "sort", "rows", "offset"];
const FIRST_SORT = "-StudyDate";
const INCLUDED = "StudyDescription,NumberOfStudyRelatedSeries,NumberOfStudyRelatedInstances,ModalitiesInStudy";

/** What is searched for, as the page's address says it. */
export function asked() {
  const query = new URLSearchParams(location.search);
  const found = {};
  for (const name of [...BEGINNINGS, ...EXACT, ...OTHERS]) found[name] = query.get(name) ?? "";
  found.base = bases.includes(root + found.base) ? root + found.base : bases[0];
  found.sort ||= FIRST_SORT;
  found.rows = Math.min(Math.max(Number.parseInt(found.rows, 10) || 25, 1), 100);
  found.offset = Math.max(Number.parseInt(found.offset, 10) || 0, 0);
  return found;
}

/** Put `wanted` into the page's address, so that it can be gone back to. */
export function remember(wanted) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(wanted)) {
    const usual = { base: bases[0], sort: FIRST_SORT, rows: 25, offset: 0 }[name] ?? "";
    if (value !== usual) query.set(name, name === "base" ? value.slice(root.length) : value);
  }
  const text = query.toString();
  history.pushState(null, "", location.pathname + (text ? `?${text}` : ""));
}

/** The address of the search; it asks for one row more than is shown, which tells whether there is another page. */
export function searchOf(wanted) {
  const query = new URLSearchParams({ limit: wanted.rows + 1, offset: wanted.offset, includefield: INCLUDED });
  for (const name of BEGINNINGS) {
    const value = wanted[name].trim();
    if (value) query.set(name, /[*?]/.test(value) ? value : `${value}*`);
  }
  for (const name of EXACT) {
    const value = wanted[name].trim();
    if (value) query.set(name, name === "ModalitiesInStudy" ? value.toUpperCase().replaceAll(/[\s,]+/g, ",") : value);
  }
  const [from, until] = [wanted.from, wanted.until].map((day) => day.replaceAll("-", ""));
  if (from || until) query.set("StudyDate", from === until ? from : `${from}-${until}`);
  query.set("orderby", `${wanted.sort},StudyInstanceUID`);
  return `${wanted.base}/studies?${query}`;
}
