// Metadata: an instance or an image set as a tree, its versions, what changed between them, the raw JSON.

import { TAG, first, text } from "./dicom.js";
import { askJson, askRows, element } from "./gateway.js";
import { changesBetween } from "./metadata/changes.js";
import { loadDictionary } from "./metadata/dictionary.js";
import { Editor } from "./metadata/editor.js";
import { documentOf, latestOf, sourcesOf } from "./metadata/sources.js";
import { found, rowsOf } from "./metadata/tree.js";
import { addressOf, named, pageOf, viewerOf } from "./places.js";

const MOST_VERSIONS = 200;
const TYPING = 150;
const part = (id) => document.getElementById(id);
const shown = { dictionary: null, sources: [], source: null, document: null };
const editor = new Editor(edited, () => attempt(choose));
let asked = 0;

function tell(message, isBad = false) {
  part("told").replaceChildren(isBad ? element("span", { class: "bad" }, message) : message);
}

/** Run `work`, and tell what the gateway refuses. */
async function attempt(work) {
  try {
    await work();
  } catch (error) {
    if (error.status === undefined) throw error;
    tell(error.message, true);
  }
}

function showTree() {
  const words = part("words").value.trim();
  const rows = part("tree").tBodies[0];
  if (!shown.document) return;
  if (!words) {
    rows.replaceChildren(...rowsOf(shown.document.nodes));
    tell("");
    return;
  }
  const { rows: hits, count, isAll } = found(shown.document.nodes, words);
  rows.replaceChildren(...hits);
  tell(count === 0 ? "Nothing matches." : `${isAll ? "" : "The first "}${count} ${count === 1 ? "match" : "matches"}`);
}

function showRaw() {
  if (part("raw").open && shown.document) part("raw").querySelector("pre").textContent = JSON.stringify(shown.document.raw, null, 1);
}

async function load() {
  const turn = (asked += 1);
  const version = part("versions").hidden ? undefined : part("version").value;
  const loaded = await documentOf(shown.source, version, shown.dictionary);
  if (turn !== asked) return;
  shown.document = loaded;
  shown.version = version;
  offerRevert();
  part("download").href = loaded.address;
  part("download").setAttribute("download", `${shown.source.key}${version ? `-${version}` : ""}.json`);
  part("raw").querySelector("pre").textContent = "";
  showRaw();
  showTree();
  await compare(turn);
}

async function compare(turn = asked) {
  const other = part("others").hidden ? "" : part("other").value;
  part("changes").hidden = other === "";
  if (other === "") return;
  const before = await documentOf(shown.source, other, shown.dictionary);
  if (turn !== asked) return;
  const { rows, isAll } = changesBetween(before.raw, shown.document.raw);
  part("before").textContent = `Version ${other}`;
  part("after").textContent = `Version ${part("version").value}`;
  const cells = rows.map((row) => element("tr", {}, ...difference(row).map((text) => element("td", {}, text))));
  part("differences").replaceChildren(...(cells.length ? cells : [note("These versions say the same.")]));
  if (!isAll) part("differences").append(note("There are more differences than these."));
}

function note(message) {
  return element("tr", {}, element("td", { colspan: 4 }, message));
}

/** [where, attribute, before, after] of a change, as texts. */
function difference({ path, before, after }) {
  const way = path.slice(0, -1).filter((step) => step !== "DICOM").join(" › ");
  const { name } = shown.dictionary.find(path.at(-1));
  const value = (one) => (one === undefined ? "(none)" : typeof one === "string" ? one : JSON.stringify(one));
  return [way, name, value(before), value(after)];
}

/** Offer to make the version that is shown the latest again, to who may, where another is. */
function offerRevert() {
  const { source, version, latest } = shown;
  part("revert").hidden = true;
  if (latest === null || version === undefined || Number(version) === latest) return;
  editor.isAllowed().then((isAllowed) => {
    part("revert").hidden = !isAllowed || source !== shown.source || version !== shown.version;
  }, () => {});
}

async function revert() {
  const { source, version, latest, document } = shown;
  const now = await documentOf(source, String(latest), shown.dictionary);
  const { rows, isAll } = changesBetween(now.raw, document.raw);
  editor.revert(source, latest, version, rows.map(difference), isAll);
}

/** Show the source that is chosen, at its latest version. */
async function choose() {
  const turn = (asked += 1);
  editor.hide();
  shown.source = shown.sources.find(({ key }) => key === part("source").value);
  const latest = await latestOf(shown.source);
  if (turn !== asked) return;
  shown.latest = latest;
  part("versions").hidden = part("others").hidden = latest === null;
  if (latest !== null) offerVersions(latest);
  await load();
  if (turn + 1 === asked) editor.offer(shown.source, latest, shown.document.raw, shown.dictionary, setsOfStudy);
}

/** The image sets of the study that is shown, as far as the caller may see. */
function setsOfStudy() {
  return askJson(addressOf({ base: shown.place.base, study: shown.place.study }, "image-sets"));
}

/** Show what came of an edit of `count` image sets. */
async function edited(version, count) {
  await attempt(choose);
  const others = count > 1 ? ` ${count} image sets are changed.` : "";
  tell(`Changed: version ${version} is the latest now.${others}`);
  part("told").scrollIntoView({ block: "nearest" });
}

function offerVersions(latest) {
  const numbers = Array.from({ length: Math.min(latest, MOST_VERSIONS) }, (_, at) => String(latest - at));
  const option = (value, title = value) => element("option", { value }, title);
  part("version").replaceChildren(...numbers.map((number, at) => option(number, at ? number : `${number}, the latest`)));
  part("other").replaceChildren(option("", "none"), ...numbers.map((number) => option(number)));
}

async function openSeries(place) {
  const page = { base: place.base, study: place.study, series: place.series };
  const viewer = viewerOf(place);
  const links = [element("a", { href: pageOf("stack", page) }, "Stack view"), viewer && element("a", { href: viewer }, "OHIF")];
  part("ways").replaceChildren(...links.filter(Boolean).map((link) => element("li", {}, link)));
  shown.place = place;
  shown.sources = await sourcesOf(place);
  part("source").replaceChildren(...shown.sources.map(({ key, title }) => element("option", { value: key }, title)));
  if (place.instance) part("source").value = place.instance;
  if (part("source").selectedIndex < 0) return tell("There is no such instance.", true);
  return choose();
}

async function open() {
  const place = named();
  if (!place.study) return tell("This page shows a study: choose one on the page Studies.");
  const query = { includefield: "SeriesDescription", orderby: "SeriesNumber,SeriesInstanceUID" };
  const study = { base: place.base, study: place.study };
  const [dictionary, series, [about]] = await Promise.all([
    loadDictionary(),
    askRows(addressOf(study, "series"), query),
    askJson(`${place.base}/studies?StudyInstanceUID=${encodeURIComponent(place.study)}`).then((rows) => rows ?? []),
  ]);
  shown.dictionary = dictionary;
  if (!about || series.length === 0) return tell("There is no such study.", true);
  part("title").textContent = [text(about, TAG.patientName), text(about, TAG.patientId)].filter(Boolean).join(", ");
  const titles = series.map((row) => [first(row, TAG.series), [TAG.seriesNumber, TAG.modality, TAG.seriesDescription].map((tag) => text(row, tag)).filter(Boolean).join(" ")]);
  part("series").replaceChildren(...titles.map(([uid, title]) => element("option", { value: uid }, title || uid)));
  if (place.series) part("series").value = place.series;
  part("series").addEventListener("change", () => attempt(() => openSeries({ ...study, series: part("series").value })));
  if (part("series").selectedIndex < 0) return tell("There is no such series.", true);
  return openSeries({ ...place, series: part("series").value });
}

part("choose").addEventListener("submit", (event) => event.preventDefault());
part("source").addEventListener("change", () => attempt(choose));
part("version").addEventListener("change", () => {
  editor.hide();
  attempt(load);
});
part("revert").addEventListener("click", () => attempt(revert));
part("other").addEventListener("change", () => attempt(compare));
part("raw").addEventListener("toggle", showRaw);
let typing = 0;
part("words").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(showTree, TYPING);
});
await attempt(open);
