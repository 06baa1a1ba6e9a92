// What a study opens to: its series with a small picture each, and the ways on from there.

import { TAG, WITHOUT_PICTURE, first, text } from "../dicom.js";
import { askRows, element, may } from "../gateway.js";
import { addressOf, pageOf, viewerOf } from "../places.js";
import { wayToWeasis } from "../weasis.js";
import { picture } from "./pictures.js";

const FIELDS = "SeriesDescription,NumberOfSeriesRelatedInstances,BodyPartExamined";
const MOST = 200;

/** The contents of an opened study; throws GatewayError. */
export async function openedStudy(place, title) {
  const query = { includefield: FIELDS, orderby: "SeriesNumber,SeriesInstanceUID" };
  const rows = await askRows(addressOf(place, "series"), query);
  const list = element("ul", { class: "series" }, ...rows.slice(0, MOST).map((row) => card(place, row)));
  const more = rows.length <= MOST ? null : element("p", { class: "soft" }, `These are the first ${MOST} of ${rows.length} series.`);
  return [ways(place, title), list, more].filter(Boolean);
}

function ways(place, title) {
  const viewer = viewerOf(place);
  const links = [
    viewer && element("a", { href: viewer }, "Open in OHIF"),
    wayToWeasis(place, "Open in Weasis"),
    element("a", { href: pageOf("metadata", place) }, "Metadata"),
  ];
  const items = links.filter(Boolean).map((link) => element("li", {}, link));
  return element("ul", { class: "links", "aria-label": `Ways to open ${title}` }, ...items);
}

function card(study, row) {
  const place = { ...study, series: first(row, TAG.series) };
  const modality = text(row, TAG.modality) || "?";
  const number = text(row, TAG.seriesNumber);
  const title = text(row, TAG.seriesDescription) || `Series ${number || "without a number"}`;
  const count = first(row, TAG.instancesOfSeries);
  const facts = [modality, number && `number ${number}`, count !== undefined && `${count} ${count === 1 ? "instance" : "instances"}`];
  const hasPicture = !WITHOUT_PICTURE.has(modality);
  const address = `${addressOf(place, "thumbnail")}?viewport=192,192`;
  const seen = hasPicture && may.has("rendered") ? picture(address, modality) : modality;
  const href = pageOf(hasPicture ? "stack" : "metadata", place);
  return element(
    "li",
    { "data-series": place.series },
    element("a", { class: "picture", href, tabindex: -1, "aria-hidden": "true" }, seen),
    element(
      "div",
      {},
      element("p", {}, hasPicture ? element("a", { href }, title) : title),
      element("p", { class: "soft" }, facts.filter(Boolean).join(", ")),
      element("p", {}, element("a", { href: pageOf("metadata", place), "aria-label": `Metadata of ${title}` }, "Metadata")),
    ),
  );
}
