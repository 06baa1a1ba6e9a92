// The form that edits an image set and, of its patient and study, the other image sets of the study.

import { askJson, element, root } from "../gateway.js";
import { changesOf, isEditable, levelsOf, stepsOf } from "./edits.js";
import { Question } from "./question.js";

const part = (id) => document.getElementById(id);
const LONG = new Set(["LT", "ST", "UT"]);

export class Editor {
  /** `done(version, count)` is called after an edit, `again()` to show how things stand. */
  constructor(done, again) {
    this.asking = new Question(done, again);
    this.fields = [];
    this.allowed = null;
    part("edit").addEventListener("submit", (event) => {
      event.preventDefault();
      this.question();
    });
    part("add").addEventListener("click", () => this.add());
  }

  hide() {
    part("editing").hidden = true;
  }

  /** Whether the caller may change anything. */
  async isAllowed() {
    this.allowed ??= (await askJson(`${root}/session`)).edits === true;
    return this.allowed;
  }

  /** Offer to edit `source` at its latest version, to who may; `sets()` gives the image sets of its study. */
  async offer(source, latest, raw, dictionary, sets) {
    this.hide();
    this.source = source;
    if (latest === null || !(await this.isAllowed()) || this.source !== source) return;
    Object.assign(this, { latest, sets, dictionary, fields: [], levels: levelsOf(raw, source.isPrimary) });
    part("limits").textContent = source.isPrimary
      ? "This image set is primary: HealthImaging lets only attributes of its study be changed. An emptied field removes the attribute."
      : "An emptied field removes the attribute.";
    part("levels").replaceChildren(...this.levels.map((level) => this.fieldset(level)));
    part("level").replaceChildren(...this.levels.map(({ title }, at) => element("option", { value: at }, title)));
    part("whole").checked = true;
    part("unsent").textContent = "";
    part("editing").hidden = false;
  }

  fieldset(level) {
    const place = element("div", { class: "fields" });
    for (const [keyword, value] of Object.entries(level.attributes)) {
      const { vr } = this.dictionary.find(keyword);
      if (isEditable(keyword, vr, value)) place.append(this.field(level, keyword, value));
    }
    level.place = place;
    return element("fieldset", {}, element("legend", {}, level.title), place);
  }

  field(level, keyword, value) {
    const { name, vr } = this.dictionary.find(keyword);
    const before = value ?? "";
    const input = LONG.has(vr) || String(before).includes("\n") ? element("textarea", { rows: 3 }) : element("input", { spellcheck: "false" });
    input.value = String(before);
    const label = element("label", {}, name || keyword, input);
    // a textarea has line ends of its own
    const shown = input.value;
    input.addEventListener("input", () => label.classList.toggle("changed", input.value !== shown));
    this.fields.push({ level: level.level, uid: level.uid, title: level.title, keyword, name: name || keyword, vr, before, shown, input });
    return label;
  }

  add() {
    const level = this.levels[Number(part("level").value)];
    const keyword = part("keyword").value.trim();
    const { tag, vr } = this.dictionary.find(keyword);
    const known = this.fields.find((one) => one.level === level.level && one.uid === level.uid && one.keyword === keyword);
    if (known) return known.input.focus();
    if (!tag || !isEditable(keyword, vr, level.attributes[keyword])) {
      part("unsent").textContent = `${keyword || "An empty keyword"} is the keyword of no attribute that can be edited.`;
      return undefined;
    }
    part("unsent").textContent = "";
    part("keyword").value = "";
    level.place.append(this.field(level, keyword, null));
    return this.fields.at(-1).input.focus();
  }

  /** Show what will change, and ask. */
  async question() {
    const written = this.fields.filter(({ input, shown }) => input.value !== shown);
    const changes = changesOf(written.map(({ input, shown, ...field }) => ({ ...field, text: input.value })));
    part("unsent").textContent = changes.length ? "" : "Nothing is changed.";
    if (!changes.length) return;
    let sets = [];
    try {
      if (part("whole").checked) sets = await this.sets();
    } catch (error) {
      if (error.status === undefined) throw error;
      part("unsent").textContent = error.message;
      return;
    }
    const steps = stepsOf(changes, this.source, sets, part("whole").checked);
    const count = steps.reduce((sum, { others }) => sum + 1 + others.length, 0);
    const value = (one) => (one === null || one === "" ? "(none)" : String(one));
    const rows = changes.map(({ title, name, before, after }) => [title, name, value(before), after === null ? "(removed)" : value(after)]);
    const where = count === 1 ? "this image set" : `each of ${count} image sets of the study`;
    const known = `version ${this.latest} stays as it is`;
    const consequence = `HealthImaging makes a new version of ${where}; ${known}. All who search and retrieve see the new one at once.`;
    this.asking.ask({ title: "Change these attributes?", consequence, rows, steps, source: this.source, latest: this.latest });
  }

  /** Ask whether `version` is to be the latest again; `rows` tell what that changes, `isAll` whether they are all. */
  revert(source, latest, version, rows, isAll) {
    const more = isAll ? "" : " More changes than are listed here.";
    const consequence = `HealthImaging makes a new version of this image set that says what version ${version} says; version ${latest} stays as it is.${more}`;
    const title = `Make version ${version} the latest again?`;
    this.asking.ask({ title, consequence, rows, steps: [{ set: source, revert: version }], source, latest });
  }
}
