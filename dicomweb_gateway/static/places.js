// Addresses: of pages, and of what they show.

import { bases, root } from "./gateway.js";

const KEYS = { study: "studies", series: "series", instance: "instances" };

/** What the page's own address names: base, study, series, instance, frame; a base that is none of ours is not taken. */
export function named() {
  const query = new URLSearchParams(location.search);
  const asked = root + (query.get("base") ?? "");
  const place = { base: bases.includes(asked) ? asked : bases[0] };
  for (const key of ["study", "series", "instance", "frame"]) place[key] = query.get(key) || undefined;
  return place;
}

/** The DICOMweb address of `place`, with further steps behind it. */
export function addressOf(place, ...steps) {
  let path = place.base;
  for (const [key, name] of Object.entries(KEYS)) {
    if (!place[key]) break;
    path += `/${name}/${encodeURIComponent(place[key])}`;
  }
  return [path, ...steps].join("/");
}

/** The address of the page `name` for `place`. */
export function pageOf(name, place) {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(place)) {
    if (value === undefined) continue;
    if (key !== "base") query.set(key, value);
    else if (value !== bases[0]) query.set("base", value.slice(root.length));
  }
  return `${root}/pages/${name}?${query}`;
}

/** OHIF's address for a study, null where it is not served. */
export function viewerOf({ base, study }) {
  const mount = `${root}/viewer`;
  if (!document.querySelector(`header a[href="${mount}"]`)) return null;
  const source = base === bases[0] ? "" : `/${base.slice(root.length).replace(/^\//, "").replaceAll("/", "-")}`;
  return `${mount}/viewer${source}?StudyInstanceUIDs=${encodeURIComponent(study)}`;
}

/** The link that opens Weasis with a study, and with the `ticket` that it is to log in by, "" for none.
 *
 * What is not of a UID or a ticket could end its quotes and be a command of its own.
 */
export function weasisOf({ base, study }, ticket = "") {
  const login = ticket ? ` -H "Authorization: Bearer ${ticket.replaceAll(/[^A-Za-z0-9._-]/g, "")}"` : "";
  const command = `$dicom:rs --url "${location.origin}${base}" -r "studyUID=${study.replaceAll(/[^0-9.]/g, "")}"${login}`;
  return `weasis://${encodeURIComponent(command)}`;
}
