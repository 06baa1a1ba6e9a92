// The list of studies: columns that sort, rows that open.

import { TAG, date, first, text, time } from "../dicom.js";
import { element } from "../gateway.js";
import { openedStudy } from "./series.js";

const COLUMNS = [
  { title: "Patient", sort: "PatientName", value: (row) => text(row, TAG.patientName) || "No name" },
  { title: "Patient ID", sort: "PatientID", kind: "wide", value: (row) => text(row, TAG.patientId) },
  { title: "Date", sort: "StudyDate", kind: "short", value: when },
  { title: "Modality", value: (row) => text(row, TAG.modalities) },
  { title: "Description", sort: "StudyDescription", kind: "wide", value: (row) => text(row, TAG.description) },
  { title: "Accession", sort: "AccessionNumber", kind: "wide", value: (row) => text(row, TAG.accession) },
  { title: "Series", sort: "NumberOfStudyRelatedSeries", kind: "number wide", value: (row) => text(row, TAG.seriesCount) },
  { title: "Images", sort: "NumberOfStudyRelatedInstances", kind: "number wide", value: (row) => text(row, TAG.instances) },
];

function when(row) {
  return `${date(first(row, TAG.studyDate))} ${time(first(row, TAG.studyTime))}`.trim();
}

/** The head of the table for the order `sort`, such as "-StudyDate"; `choose` is told of another one. */
export function headOf(sort, choose) {
  const cells = COLUMNS.map((column) => {
    if (!column.sort) return element("th", { scope: "col", class: column.kind }, column.title);
    const order = { [column.sort]: "ascending", [`-${column.sort}`]: "descending" }[sort];
    const other = order === "ascending" ? `-${column.sort}` : column.sort;
    const button = element("button", { type: "button", class: "plain", onclick: () => choose(other) }, column.title);
    return element("th", { scope: "col", class: column.kind, "aria-sort": order }, button);
  });
  return element("tr", {}, ...cells);
}

/** The rows of a study that is found below the service `base`: what is always seen, and what opens. */
export function rowsOf(row, base) {
  const study = first(row, TAG.study);
  const title = COLUMNS[0].value(row);
  const inside = element("td", { colspan: COLUMNS.length });
  const below = element("tr", { class: "opened", hidden: true }, inside);
  const open = element("button", { type: "button", class: "plain open", "aria-expanded": "false" }, title);
  open.addEventListener("click", async () => {
    below.hidden = !below.hidden;
    open.setAttribute("aria-expanded", String(!below.hidden));
    if (!below.hidden && !inside.firstChild) await fill(inside, { base, study }, title);
  });
  const cells = COLUMNS.slice(1).map((column) => element("td", { class: column.kind }, column.value(row)));
  // where the window is too narrow for their columns
  const others = [TAG.patientId, TAG.description].map((tag) => text(row, tag)).filter(Boolean);
  const beside = others.map((one) => element("span", { class: "beside soft" }, one));
  return [element("tr", { "data-study": study }, element("th", { scope: "row" }, open, ...beside), ...cells), below];
}

async function fill(inside, place, title) {
  inside.replaceChildren(element("p", { class: "soft" }, "Loading…"));
  try {
    inside.replaceChildren(...(await openedStudy(place, title)));
  } catch (error) {
    if (error.status === undefined) throw error;
    inside.replaceChildren(element("p", { class: "bad", role: "alert" }, error.message));
  }
}
