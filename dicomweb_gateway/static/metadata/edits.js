// Which attributes of an image set can be edited, and what an edit asks of the gateway.

const WRITABLE = new Set(["AE", "AS", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "PN", "SH", "SL", "SS", "ST", "TM", "UC", "UL", "UR", "US", "UT"]);
const FIXED = new Set(["StudyID"]);
const NUMBERS = new Set(["FD", "FL", "SL", "SS", "UL", "US"]);

/** [{level, uid, title, attributes}] of a document; of a primary image set only the study can be changed. */
export function levelsOf(document, isPrimary) {
  const study = { level: "study", title: "Study", attributes: document.Study?.DICOM ?? {} };
  if (isPrimary) return [study];
  const series = Object.entries(document.Study?.Series ?? {}).map(([uid, one]) => ({ level: "series", uid, title: `Series ${uid}`, attributes: one.DICOM ?? {} }));
  return [{ level: "patient", title: "Patient", attributes: document.Patient?.DICOM ?? {} }, study, ...series];
}

/** Whether the attribute `keyword` with this VR and value has one value that people can write. */
export function isEditable(keyword, vr, value) {
  const isSingle = value === null || value === undefined || typeof value === "string" || typeof value === "number";
  return isSingle && WRITABLE.has(vr) && !FIXED.has(keyword) && !(typeof value === "string" && value.includes("\\") && !["LT", "ST", "UT"].includes(vr));
}

/** The changes among `fields`, [{level, uid, keyword, vr, before, text}]; an emptied field is an attribute that goes (null). */
export function changesOf(fields) {
  return fields
    .filter(({ before, text }) => text !== String(before ?? ""))
    .map(({ text, ...field }) => ({ ...field, after: text === "" ? null : valueOf(field, text) }));
}

function valueOf({ vr, before }, text) {
  const isNumber = NUMBERS.has(vr) || typeof before === "number";
  return isNumber && text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
}

/** The body of the request that makes `changes` to version `latest`. */
export function bodyOf(latest, changes, isWholeStudy) {
  const body = { latestVersion: String(latest) };
  for (const { level, uid, keyword, after } of changes) {
    const place = (body[level] ??= {});
    const attributes = level === "series" ? (place[uid] ??= {}) : place;
    attributes[keyword] = after;
  }
  if (isWholeStudy) body.includeStudyImageSets = true;
  return body;
}
