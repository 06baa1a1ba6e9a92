// What a series has beside images: videos that are played or saved, documents that are opened.

import { element } from "../gateway.js";
import { addressOf } from "../places.js";

const NAMES = { video: "Video", document: "Document" };

/** Ways to each of `others` ({instance, kind}) of the series at `place` that can be opened. */
export function waysTo(place, others) {
  return others
    .filter(({ kind }) => NAMES[kind])
    .map(({ instance, kind }, at, all) => {
      const title = all.length === 1 ? NAMES[kind] : `${NAMES[kind]} ${at + 1}`;
      return element("a", { href: addressOf({ ...place, instance }, "rendered") }, title);
    });
}

/** Show on `stage` the first of `others` of a series that has no images; `complain(message, ...ways)` says what is not shown. */
export function showOther(stage, place, [other], complain) {
  if (!NAMES[other?.kind]) return complain("This series has no images.");
  const href = addressOf({ ...place, instance: other.instance }, "rendered");
  if (other.kind === "document") return complain("This series is a document.", element("a", { href }, "Open it"));
  const film = element("video", { src: href, controls: true, "aria-label": "Video" });
  film.addEventListener("error", () => {
    film.remove();
    const way = element("a", { href, download: `${other.instance}.video` }, "Save it as a file");
    complain("This browser cannot play this video.", way);
  });
  stage.append(film);
  return undefined;
}
