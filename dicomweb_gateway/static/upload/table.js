// The table of what is to be sent, by patient and study, and the lists of what was left out or failed.

import { date } from "../dicom.js";
import { element, root } from "../gateway.js";

const MOST_ROWS = 500;
const MOST_STUDIES = 500;

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

  /** Show `studies`, the first of them; gives how many more there are, which browsers would be slow to show. */
  show(studies) {
    for (const study of studies.values()) {
      if (!this.rows.has(study.key)) {
        if (this.rows.size === MOST_STUDIES) break;
        this.rows.set(study.key, this.#newRow(study));
      }
      this.#update(study, this.rows.get(study.key));
    }
    return studies.size - this.rows.size;
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
    return { box, cells, bar, told, text: "", turn: -1, wasWanted: null };
  }

  #update(study, row) {
    const { figures } = study;
    if (row.turn === figures.turn && row.wasWanted === study.isWanted) return;
    Object.assign(row, { turn: figures.turn, wasWanted: study.isWanted });
    const [modality, files, bytes] = row.cells;
    modality.textContent = [...study.modalities].join(", ");
    files.textContent = figures.files.toLocaleString("en");
    bytes.textContent = size(figures.bytes);
    const isDone = figures.stored === figures.files;
    const underWay = figures.waiting + figures.sending;
    row.box.disabled = isDone || underWay > 0;
    row.box.checked = study.isWanted;
    showProgress(row.bar, figures, underWay);
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

function stateOf(figures) {
  const { files, listed, waiting, sending, stored, failed } = figures;
  if (listed === files) return "not sent yet";
  if (waiting && !sending && !stored && !failed) return "waiting";
  const parts = [`${stored} of ${files} stored`];
  if (failed) parts.push(`${failed} failed`);
  if (sending) parts.push(goneText(figures));
  return parts.join(", ");
}

/** "1.2 MB of 3.4 MB sent"; once all is sent there is only an answer to be waited for. */
export function goneText({ gone, bytes }) {
  return gone < bytes ? `${size(gone)} of ${size(bytes)} sent` : "being stored";
}

/** How far the bytes of `figures` are, in `bar`, a <progress>, as long as there are some `underWay`. */
export function showProgress(bar, { bytes, gone }, underWay) {
  bar.hidden = !underWay;
  bar.max = Math.max(1, bytes);
  bar.value = gone;
}

/** Fill `table` with rows of a path and a reason each, the first of them; `told` says of how many. */
export function listReasons(table, told, rows) {
  const body = table.tBodies[0];
  const shown = rows.slice(0, MOST_ROWS).map(({ path, reason }) => {
    return element("tr", {}, element("th", { scope: "row" }, element("bdi", {}, path)), element("td", {}, reason));
  });
  body.replaceChildren(...shown);
  told.textContent = rows.length > MOST_ROWS ? `The first ${MOST_ROWS} of ${counted(rows.length, "file")}.` : `${counted(rows.length, "file")}.`;
}

/** Have the browser save paths and reasons as a file of lines. */
export function saveReasons(rows, name) {
  const text = rows.map(({ path, reason }) => `${path}\t${reason}\n`.replaceAll(/[\r\n]+(?!$)/g, " ")).join("");
  const href = URL.createObjectURL(new Blob([text], { type: "text/tab-separated-values" }));
  element("a", { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}
