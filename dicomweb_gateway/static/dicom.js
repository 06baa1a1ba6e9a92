// Values out of the DICOM JSON model (PS3.18 F), as texts that people read.

export const TAG = {
  accession: "00080050",
  description: "00081030",
  frames: "00280008",
  frameTime: "00181063",
  instance: "00080018",
  instanceNumber: "00200013",
  instances: "00201208",
  instancesOfSeries: "00201209",
  modalities: "00080061",
  modality: "00080060",
  patientId: "00100020",
  patientName: "00100010",
  rate: "00082144",
  rows: "00280010",
  columns: "00280011",
  series: "0020000E",
  seriesDescription: "0008103E",
  seriesNumber: "00200011",
  seriesCount: "00201206",
  sopClass: "00080016",
  study: "0020000D",
  studyDate: "00080020",
  studyId: "00200010",
  studyTime: "00080030",
  transferSyntax: "00083002",
};

/** Modalities whose series have no image of the patient to show. */
export const WITHOUT_PICTURE = new Set(
  ["SR", "PR", "KO", "RTSTRUCT", "RTPLAN", "RTRECORD", "DOC", "REG", "AU", "ECG", "HD", "EPS", "PLAN", "FID", "ANN"],
);

/** The first value of `tag`, undefined where there is none. */
export function first(row, tag) {
  return row[tag]?.Value?.[0];
}

/** All values of `tag` as one text. */
export function text(row, tag) {
  return (row[tag]?.Value ?? []).map(shown).join(", ");
}

/** One value of any VR but SQ as a text; a person's name as people write it. */
export function shown(value) {
  if (value === null || value === undefined) return "";
  if (typeof value !== "object") return String(value);
  const groups = ["Alphabetic", "Ideographic", "Phonetic"].filter((name) => value[name]);
  return groups.map((name) => personName(value[name])).join(" = ");
}

/** "Müller^Jörg^^Dr." as "Müller, Jörg (Dr.)"; a name without structure stays as it is. */
export function personName(name) {
  const [family, given, middle, prefix, suffix] = name.split("^").map((part) => part.trim());
  const called = [given, middle].filter(Boolean).join(" ");
  const titles = [prefix, suffix].filter(Boolean).join(", ");
  return [family, called].filter(Boolean).join(", ") + (titles ? ` (${titles})` : "");
}

/** "20240311" as "2024-03-11"; what is no date stays as it is. */
export function date(value) {
  const parts = /^(\d{4})(\d{2})(\d{2})$/.exec(value ?? "");
  return parts ? parts.slice(1).join("-") : (value ?? "");
}

/** "101530.25" as "10:15". */
export function time(value) {
  const parts = /^(\d{2})(\d{2})/.exec(value ?? "");
  return parts ? `${parts[1]}:${parts[2]}` : (value ?? "");
}
