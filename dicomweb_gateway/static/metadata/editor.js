// The form that edits an image set, and the question before anything is sent.

import { ask, askJson, element, root } from "../gateway.js";
import { bodyOf, changesOf, isEditable, levelsOf } from "./edits.js";

const part = (id) => document.getElementById(id);
const LONG = new Set(["LT", "ST", "UT"]);

export class Editor {
  /** `done` is called with the new version after an edit. */
  constructor(done) {
    this.done = done;
    this.fields = [];
    this.allowed = null;
    part("edit").addEventListener("submit", (event) => {
      event.preventDefault();
      this.question();
    });
    part("add").addEventListener("click", () => this.add());
    part("send").addEventListener("click", () => this.send());
    part("leave").addEventListener("click", () => part("confirm").close());
  }

  hide() {
    part("editing").hidden = true;
  }

  /** Offer to edit `source` at its latest version, to who may. */
  async offer(source, latest, raw, dictionary) {
    this.hide();
    this.source = source;
    if (latest === null) return;
    this.allowed ??= (await askJson(`${root}/session`)).edits === true;
    if (!this.allowed || this.source !== source) return;
    Object.assign(this, { latest, dictionary, fields: [], levels: levelsOf(raw, source.isPrimary) });
    part("limits").textContent = source.isPrimary
      ? "This image set is primary: HealthImaging lets only attributes of its study be changed. An emptied field removes the attribute."
      : "An emptied field removes the attribute.";
    part("levels").replaceChildren(...this.levels.map((level) => this.fieldset(level)));
    part("level").replaceChildren(...this.levels.map(({ title }, at) => element("option", { value: at }, title)));
    part("whole").checked = false;
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
  question() {
    const written = this.fields.filter(({ input, shown }) => input.value !== shown);
    this.changes = changesOf(written.map(({ input, shown, ...field }) => ({ ...field, text: input.value })));
    part("unsent").textContent = this.changes.length ? "" : "Nothing is changed.";
    if (!this.changes.length) return;
    const value = (one) => (one === null || one === "" ? "(none)" : String(one));
    part("planned").replaceChildren(
      ...this.changes.map(({ title, name, before, after }) =>
        element("tr", {}, ...[title, name, value(before), after === null ? "(removed)" : value(after)].map((text) => element("td", {}, text))),
      ),
    );
    const where = part("whole").checked ? "all image sets of the study" : "this image set";
    part("consequence").textContent = `HealthImaging makes a new version of ${where}; version ${this.latest} stays as it is. All who search and retrieve see the new one at once.`;
    part("refused").textContent = "";
    part("confirm").showModal();
  }

  async send() {
    const { datastoreId, imageSetId } = this.source;
    const body = JSON.stringify(bodyOf(this.latest, this.changes, part("whole").checked));
    part("send").disabled = true;
    try {
      const answer = await ask(`${root}/image-sets/${datastoreId}/${imageSetId}/attributes`, { method: "POST", headers: { "Content-Type": "application/json" }, body });
      const { latestVersion } = await answer.json();
      part("confirm").close();
      await this.done(latestVersion);
    } catch (error) {
      if (error.status === undefined) throw error;
      part("refused").textContent = error.message;
    } finally {
      part("send").disabled = false;
    }
  }
}
