// Which study and series are looked at, the others of the study, and the ways on.

import { TAG, WITHOUT_PICTURE, date, first, text } from "../dicom.js";
import { askJson, askRows, element } from "../gateway.js";
import { addressOf, pageOf, viewerOf } from "../places.js";
import { wayToWeasis } from "../weasis.js";

const FIELDS = "StudyDescription,PatientID,PatientName,StudyDate";

/** {place, modality, who, what}: `place` with a series, the first one that has images where none is named.
 *
 * null where there is no such study, or no such series of it.
 */
export async function headingOf(place) {
  const study = new URLSearchParams({ StudyInstanceUID: place.study, includefield: FIELDS });
  const series = { includefield: "SeriesDescription", orderby: "SeriesNumber,SeriesInstanceUID" };
  const { base } = place;
  const [[about], all] = await Promise.all([
    askJson(`${base}/studies?${study}`).then((rows) => rows ?? []),
    askRows(addressOf({ base, study: place.study }, "series"), series),
  ]);
  const shown = place.series ? all.find((row) => first(row, TAG.series) === place.series) : firstPicture(all);
  if (!about || !shown) return null;
  return {
    all,
    place: { ...place, series: first(shown, TAG.series) },
    modality: first(shown, TAG.modality) ?? "",
    who: [text(about, TAG.patientName), text(about, TAG.patientId)].filter(Boolean).join("\n"),
    when: [date(first(about, TAG.studyDate)), text(about, TAG.description)].filter(Boolean).join("\n"),
    what: titleOf(shown),
  };
}

function firstPicture(rows) {
  return rows.find((row) => !WITHOUT_PICTURE.has(first(row, TAG.modality))) ?? rows[0];
}

function titleOf(row) {
  const number = text(row, TAG.seriesNumber);
  const parts = [number && `${number}:`, text(row, TAG.modality), text(row, TAG.seriesDescription)];
  return parts.filter(Boolean).join(" ") || "Series";
}

/** Fill the picker of series and the list of ways on. */
export function offerSeries(select, ways, { all, place }) {
  const rows = all.map((row) => element("option", { value: first(row, TAG.series) }, titleOf(row)));
  select.replaceChildren(...rows);
  select.value = place.series;
  select.addEventListener("change", () => {
    location.assign(pageOf("stack", { base: place.base, study: place.study, series: select.value }));
  });
  const viewer = viewerOf(place);
  const links = [
    element("a", { href: pageOf("metadata", { base: place.base, study: place.study, series: place.series }) }, "Metadata"),
    viewer && element("a", { href: viewer }, "OHIF"),
    wayToWeasis(place, "Weasis"),
  ];
  ways.replaceChildren(...links.filter(Boolean).map((link) => element("li", {}, link)));
}
