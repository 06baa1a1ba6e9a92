// Which attributes of an image set can be edited, and what an edit asks of the gateway.

const WRITABLE = new Set(["AE", "AS", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "PN", "SH", "SL", "SS", "ST", "TM", "UC", "UL", "UR", "US", "UT"]);
/** What HealthImaging changes by force only: it says for people which study this is. */
const FORCED = new Set(["StudyID"]);
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
  return isSingle && WRITABLE.has(vr) && !(typeof value === "string" && value.includes("\\") && !["LT", "ST", "UT"].includes(vr));
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

/** Whether the changes need force. */
export function needsForce(changes) {
  return changes.some(({ keyword }) => FORCED.has(keyword));
}

/** What is asked of which image set, one after the other: [{set, changes, others}].
 *
 * Changes of the patient and the study are for all `sets` of the study where `isWholeStudy`, those of a series for
 * `source` alone. HealthImaging changes attributes of the study in all sets of a data store at once, `others`
 * with `set`; not those of the patient, and not by force.
 */
export function stepsOf(changes, source, sets, isWholeStudy) {
  const alone = [{ set: source, changes, others: [] }];
  const shared = changes.filter(({ level }) => level !== "series");
  if (!isWholeStudy || shared.length === 0) return alone;
  const rest = sets.filter(({ imageSetId, datastoreId }) => imageSetId !== source.imageSetId || datastoreId !== source.datastoreId);
  const isAtOnce = changes.every(({ level }) => level === "study") && !needsForce(changes);
  if (!isAtOnce) return [...alone, ...rest.map((set) => ({ set, changes: shared, others: [] }))];
  return [...grouped([source, ...rest]).values()].map(([set, ...others]) => ({ set, changes, others }));
}

function grouped(sets) {
  const found = new Map();
  for (const set of sets) found.set(set.datastoreId, [...(found.get(set.datastoreId) ?? []), set]);
  return found;
}

/** `step` for each of its image sets by itself, where they may not be changed at once. */
export function oneByOne({ set, changes, others }) {
  return [set, ...others].map((one) => ({ set: one, changes, others: [] }));
}

/** The body of the request that makes `changes` to version `latest`, or makes the version `revert` the latest again. */
export function bodyOf(latest, { changes = [], others = [], revert = null }) {
  if (revert !== null) return { latestVersion: String(latest), revertToVersion: String(revert) };
  const body = { latestVersion: String(latest) };
  for (const { level, uid, keyword, after } of changes) {
    const place = (body[level] ??= {});
    const attributes = level === "series" ? (place[uid] ??= {}) : place;
    attributes[keyword] = after;
  }
  if (others.length) body.includeStudyImageSets = true;
  if (needsForce(changes)) body.force = true;
  return body;
}
