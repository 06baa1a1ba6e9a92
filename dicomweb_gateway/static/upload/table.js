// The table of what is to be sent, by patient and study, and the lists of what was left out or failed.

import { date } from "../dicom.js";
import { element, root } from "../gateway.js";
import { figuresOf } from "./list.js";

const MOST_ROWS = 500;

/** Bytes as people write them. */
export function size(bytes) {
  const units = ["bytes", "kB", "MB", "GB"];
  const step = Math.min(3, Math.max(0, Math.floor(Math.log10(bytes || 1) / 3)));
  const value = bytes / 1000 ** step;
  return `${step && value < 10 ? value.toFixed(1) : Math.round(value)} ${units[step]}`;
}

/** "1 file", "2 files", "1 study", "2 studies". */
export function counted(count, word) {
  const many = word.endsWith("y") ? `${word.slice(0, -1)}ies` : `${word}s`;
  return `${count.toLocaleString("en")} ${count === 1 ? word : many}`;
}

/** The rows of studies: made once, then kept true, so that keyboard and reader stay where they are. */
export class StudyTable {
  constructor(table, placeOf, changed) {
    Object.assign(this, { table, placeOf, changed, patients: new Map(), rows: new Map() });
  }

  show(studies) {
    for (const study of studies.values()) {
      if (!this.rows.has(study.key)) this.rows.set(study.key, this.#newRow(study));
      this.#update(study, this.rows.get(study.key));
    }
  }

  #bodyOf({ who, patientName, patientId }) {
    if (!this.patients.has(who)) {
      const name = element("strong", {}, patientName || "No name");
      const id = element("span", { class: "soft" }, patientId ? ` ${patientId}` : " no ID");
      const head = element("tr", { class: "patient" }, element("th", { scope: "rowgroup", colspan: 6 }, name, id));
      this.patients.set(who, element("tbody", {}, head));
      this.table.append(this.patients.get(who));
    }
    return this.patients.get(who);
  }

  #newRow(study) {
    const when = date(study.date);
    const title = [study.description || "Study without a description", when].filter(Boolean).join(", ");
    const box = element("input", { type: "checkbox", "aria-label": `Send ${title} of ${study.patientName || "no name"}` });
    box.addEventListener("change", () => {
      study.isWanted = box.checked;
      this.changed();
    });
    const cells = ["wide", "number", "number wide", "state"].map((kind) => element("td", { class: kind }));
    const bar = element("progress", { "aria-label": `Progress of ${title}`, max: 1, value: 0, hidden: true });
    const told = element("span");
    cells[3].append(bar, " ", told);
    const row = element("tr", { "data-study": study.uid }, element("td", {}, box), element("th", { scope: "row", title: study.uid }, title), ...cells);
    this.#bodyOf(study).append(row);
    return { box, cells, bar, told, text: "" };
  }

  #update(study, row) {
    const figures = figuresOf(study);
    const [modality, files, bytes] = row.cells;
    modality.textContent = figures.modalities.join(", ");
    files.textContent = figures.files.toLocaleString("en");
    bytes.textContent = size(figures.bytes);
    const isDone = figures.stored === figures.files;
    const underWay = figures.waiting + figures.sending;
    row.box.disabled = isDone || underWay > 0;
    row.box.checked = study.isWanted;
    row.bar.hidden = !underWay;
    row.bar.max = Math.max(1, figures.files);
    row.bar.value = figures.stored + figures.failed;
    const text = stateOf(figures);
    if (text === row.text) return;
    row.text = text;
    row.told.className = figures.failed ? "bad" : isDone ? "good" : "";
    row.told.replaceChildren(text, ...(figures.stored && !underWay ? this.#way(study) : []));
  }

  /** The way to the study, for those who may search. */
  #way({ uid }) {
    const href = `${root}/pages/studies`;
    if (!document.querySelector(`header a[href="${href}"]`)) return [];
    const query = new URLSearchParams({ StudyInstanceUID: uid, ...this.placeOf() });
    return [" ", element("a", { href: `${href}?${query}`, "aria-label": `Look at it: study ${uid}` }, "Look at it")];
  }
}

function stateOf({ files, listed, waiting, sending, stored, failed }) {
  if (listed === files) return "not sent yet";
  const parts = [`${stored} of ${files} stored`];
  if (failed) parts.push(`${failed} failed`);
  if (waiting && !sending && !stored) return "waiting";
  return parts.join(", ");
}

/** Fill `table` with rows of a path and a reason each, the first of them; `told` says of how many. */
export function listReasons(table, told, rows) {
  const body = table.tBodies[0];
  if (Number(body.dataset.count ?? 0) === rows.length && rows.length === 0) return;
  const shown = rows.slice(0, MOST_ROWS).map(({ path, reason }) => {
    return element("tr", {}, element("th", { scope: "row" }, path), element("td", {}, reason));
  });
  body.replaceChildren(...shown);
  body.dataset.count = rows.length;
  told.textContent = rows.length > MOST_ROWS ? `The first ${MOST_ROWS} of ${counted(rows.length, "file")}.` : `${counted(rows.length, "file")}.`;
}

/** Have the browser save paths and reasons as a file of lines. */
export function saveReasons(rows, name) {
  const text = rows.map(({ path, reason }) => `${path}\t${reason}\n`.replaceAll(/[\r\n]+(?!$)/g, " ")).join("");
  const href = URL.createObjectURL(new Blob([text], { type: "text/tab-separated-values" }));
  element("a", { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}
