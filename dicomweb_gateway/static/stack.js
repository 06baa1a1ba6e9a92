// Stack view: the images of a series, one at a time.

import { LENIENT, askJson, element, may } from "./gateway.js";
import { addressOf, named, pageOf } from "./places.js";
import { wire } from "./stack/controls.js";
import { headingOf, offerSeries } from "./stack/heading.js";
import { imagesOf } from "./stack/images.js";
import { Loader } from "./stack/loader.js";
import { showOther, waysTo } from "./stack/others.js";
import { offerLevels, writeFigures } from "./stack/panel.js";
import { Stage } from "./stack/stage.js";
import { presetsOf } from "./stack/windows.js";

const METHOD = "stack-method";
const SETTLED = 400;
const part = (id) => document.getElementById(id);

/** One series on the stage. */
class Stack {
  constructor(heading, { images, rate }, mayRetrieve) {
    Object.assign(this, { heading, images, mayRetrieve, facts: null, index: 0, timer: 0, settling: 0, presets: [] });
    this.stage = new Stage(part("canvas"));
    this.loader = new Loader(heading.place, images, {
      picture: (index) => this.came(index),
      failure: (index, error) => index === this.index && complain(`This image cannot be shown: ${error.message}`),
      change: () => this.changed(),
    });
    if (rate) part("rate").value = String(rate);
    part("slider").max = String(images.length);
    this.offerPresets();
  }

  get count() {
    return this.images.length;
  }

  go(index) {
    this.index = Math.min(this.count - 1, Math.max(0, index));
    part("slider").value = String(this.index + 1);
    complain("");
    this.loader.show(this.index);
    this.draw();
  }

  /** A picture is there; the first one also says how pictures of this series are to be shown. */
  came(index) {
    if (!this.facts) this.learn(index);
    if (index === this.index) this.draw();
  }

  /** What a picture tells of levels and windows, or the gateway where a rendered one tells nothing. */
  async learn(index) {
    const told = this.loader.picture(index)?.facts;
    if (!told && (!this.mayRetrieve || this.hasAsked)) return;
    this.hasAsked = true;
    const { instance, frame } = this.images[index];
    const facts = told ?? (await factsOf({ ...this.heading.place, instance }, frame));
    if (!facts) return;
    this.facts = this.stage.facts = facts;
    this.offerPresets();
    offerLevels(part("level"), facts.levels);
    this.changed();
  }

  draw() {
    this.stage.show(this.loader.picture(this.index) ?? null, this.images[this.index]);
    this.changed();
  }

  /** What is written around the picture. */
  changed() {
    const { picture, view } = this.stage;
    const { frame, of } = this.images[this.index];
    const level = picture?.facts ? `Level ${picture.facts.level} of ${picture.facts.levels.length - 1}, ` : "";
    const size = picture ? `${level}${picture.columns} × ${picture.rows}` : "Loading…";
    const frames = of > 1 ? `\nFrame ${frame} of ${of}` : "";
    part("how").textContent = `${this.stage.windowText}\n${size}`.trim();
    part("where").textContent = `Image ${this.index + 1} of ${this.count}${frames}\nZoom ${Math.round(view.zoom * 100)} %`;
    writeFigures(part("told"), this.loader);
    clearTimeout(this.settling);
    this.settling = setTimeout(() => this.settle(), SETTLED);
  }

  /** For those who do not see it, and for who comes back: where the stack has come to rest. */
  settle() {
    const text = `Image ${this.index + 1} of ${this.count}. ${part("how").textContent.replaceAll("\n", ", ")}`;
    part("canvas").setAttribute("aria-label", text);
    if (!this.timer) part("said").textContent = text;
    const { instance, frame } = this.images[this.index];
    history.replaceState(null, "", pageOf("stack", { ...this.heading.place, instance, frame }));
  }

  offerPresets() {
    this.presets = presetsOf(this.facts, this.heading.modality);
    const options = this.presets.map(({ title }, at) => element("option", { value: at }, title));
    const chosen = part("presets").selectedIndex;
    part("presets").replaceChildren(...options);
    part("presets").selectedIndex = Math.max(0, chosen);
  }

  /** Take the preset of that number, 0 the image's own. */
  choose(number) {
    const preset = this.presets[number];
    if (!preset) return;
    part("presets").value = String(number);
    this.setWindow(preset.window);
  }

  setWindow(window) {
    this.stage.window = window;
    if (Array.isArray(window)) part("presets").value = String(this.presets.findIndex((one) => one.window === window));
    if (this.loader.method === "rendered") this.renderAgain();
    this.stage.redraw();
    this.changed();
  }

  /** Rendered pictures are made in their window, so they are asked for again when it comes to rest. */
  renderAgain() {
    clearTimeout(this.asking);
    const window = this.stage.window === "all" ? null : this.stage.window;
    this.asking = setTimeout(() => this.loader.choose({ window }), SETTLED / 4);
  }

  play() {
    clearInterval(this.timer);
    this.timer = this.timer ? 0 : setInterval(() => this.step(), 1000 / Math.min(60, Math.max(1, Number(part("rate").value) || 10)));
    part("play").setAttribute("aria-pressed", String(this.timer !== 0));
    part("play").textContent = this.timer ? "Stop" : "Play";
  }

  /** The next image, as soon as the one that is shown is there. */
  step() {
    if (this.stage.picture) this.go((this.index + 1) % this.count);
  }
}

/** What this browser was told to remember under `name`, "" for nothing; some browsers remember nothing. */
function kept(name) {
  try {
    return localStorage.getItem(name) ?? "";
  } catch {
    return "";
  }
}

function keep(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // it holds for this page alone then
  }
}

/** Say on the stage what is wrong, with ways on; "" for nothing. */
function complain(message, ...ways) {
  part("message").replaceChildren(message, ...ways.flatMap((way) => [" ", way]));
  part("message").hidden = message === "";
}

function wireLoading(stack) {
  const { loader } = stack;
  const chosen = () => {
    const levels = stack.facts?.levels ?? [];
    const level = Number(part("level").value);
    const { columns, rows } = levels[level] ?? {};
    return levels.length === 0 || level === levels.length - 1 ? null : { level, side: Math.max(columns, rows) };
  };
  const window = () => (Array.isArray(stack.stage.window) ? stack.stage.window : null);
  part("method").addEventListener("change", () => {
    keep(METHOD, part("method").value);
    loader.choose({ method: part("method").value, window: window() });
  });
  part("level").addEventListener("change", () => loader.choose({ top: chosen() }));
  part("ahead").addEventListener("change", () => loader.choose({ ahead: part("ahead").value }));
  part("rate").addEventListener("change", () => { if (stack.timer) { stack.play(); stack.play(); } });
}

/** The method that was chosen last, or the first one that the caller may use. */
function chosenMethod() {
  const method = part("method");
  for (const option of method.options) option.disabled = !may.has(option.value === "rendered" ? "rendered" : "retrieve");
  method.value = kept(METHOD);
  if (!method.selectedOptions[0] || method.selectedOptions[0].disabled) {
    method.selectedIndex = [...method.options].findIndex((option) => !option.disabled);
  }
  return method.value;
}

async function open() {
  part("main").classList.add("wide");
  const asked = named();
  if (!asked.study) return complain("This page shows a study: choose one on the page Studies.");
  // where the series is named its images need not wait for what stands around them
  const seriesOf = ({ base, study, series }) => ({ base, study, series });
  const [heading, early] = await Promise.all([headingOf(asked), asked.series ? imagesOf(seriesOf(asked)) : null]);
  if (!heading) return complain(asked.series ? "There is no such series." : "There is no such study.");
  const { place } = heading;
  offerSeries(part("series"), part("ways"), heading);
  part("title").textContent = heading.who.replace("\n", ", ");
  part("who").textContent = heading.who;
  part("what").textContent = [heading.when, heading.what].filter(Boolean).join("\n");
  if (!may.has("retrieve") && !may.has("rendered")) return complain("You may search for images, but not see them.");
  const series = seriesOf(place);
  const found = place.series === asked.series ? early : await imagesOf(series);
  part("ways").append(...waysTo(series, found.others).map((way) => element("li", {}, way)));
  if (found.images.length === 0) {
    part("main").classList.add("without-images");
    return showOther(part("stage"), series, found.others, complain);
  }
  const first = found.images.findIndex(({ instance, frame }) => instance === asked.instance && frame === Number(asked.frame ?? 1));
  const stack = new Stack({ ...heading, place: series }, found, may.has("retrieve"));
  stack.loader.method = chosenMethod();
  wire(stack);
  wireLoading(stack);
  stack.go(Math.max(0, first));
  if (asked.instance && first < 0) complain("The image that the address names is not there: this is the first one.");
}

/** The levels of an image, and how to show its pixels; null for one that cannot be shown. */
async function factsOf(place, frame) {
  try {
    return await askJson(addressOf(place, "frames", frame, "levels"), { headers: LENIENT });
  } catch (error) {
    if (error.status === undefined) throw error;
    return null;
  }
}

try {
  await open();
} catch (error) {
  if (error.status === undefined) throw error;
  complain(error.message);
}
