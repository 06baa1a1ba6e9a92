// The question before anything is changed, and what becomes of it: a dialog that stays until all is told.

import { ask, element, root } from "../gateway.js";
import { bodyOf, needsForce } from "./edits.js";
import { sendAll } from "./sending.js";
import { latestOf } from "./sources.js";

const part = (id) => document.getElementById(id);

export class Question {
  /** `done(version, count)` is called when all is changed, `again()` to show how things stand. */
  constructor(done, again) {
    Object.assign(this, { done, again, isRunning: false, isStopped: false });
    part("send").addEventListener("click", () => this.send());
    part("leave").addEventListener("click", () => this.leave());
    part("reload").addEventListener("click", () => this.reload());
    // Escape is an answer only while nothing is on its way
    part("confirm").addEventListener("cancel", (event) => {
      event.preventDefault();
      this.leave();
    });
  }

  /** Ask about `rows`, [[where, attribute, now, then]], which `steps` change in `source`, at version `latest`, and others. */
  ask({ title, consequence, rows, steps, source, latest }) {
    Object.assign(this, { steps, source, latest, version: null, count: 0, isStopped: false });
    this.lines = new Map();
    part("asking").textContent = title;
    part("consequence").textContent = consequence;
    part("planned").replaceChildren(...rows.map((row) => element("tr", {}, ...row.map((text) => element("td", {}, text)))));
    part("forcing").hidden = !steps.some(({ changes = [] }) => needsForce(changes));
    part("force").checked = false;
    part("steps").replaceChildren();
    part("refused").textContent = part("progress").textContent = "";
    part("reload").hidden = true;
    this.offer("Change", "Leave as it is");
    part("confirm").showModal();
    part("leave").focus();
  }

  offer(send, leave) {
    part("send").hidden = send === null;
    part("send").textContent = send ?? "";
    part("leave").textContent = leave;
  }

  async send() {
    if (this.isRunning) return;
    if (!part("forcing").hidden && !part("force").checked) {
      part("refused").textContent = "Say first that it is to be changed by force.";
      part("force").focus();
      return;
    }
    part("refused").textContent = "";
    Object.assign(this, { isRunning: true, isStopped: false });
    this.offer(null, "Stop");
    part("leave").focus();
    try {
      await this.run();
    } finally {
      this.isRunning = false;
    }
  }

  async run() {
    const all = this.count + this.steps.reduce((sum, { others = [] }) => sum + 1 + others.length, 0);
    const { made, failed, stopped } = await sendAll(
      this.steps.map((step) => ({ changes: [], others: [], ...step })),
      {
        send: (step) => this.sendOne(step),
        tell: (...news) => this.tell(...news),
        wait: (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000)),
        isStopped: () => this.isStopped,
        decides: ({ set }) => set === this.source,
      },
    );
    this.count += made;
    part("progress").textContent = `${this.count} of ${all} ${all === 1 ? "image set" : "image sets"} changed.`;
    this.steps = [...failed, ...stopped];
    if (!this.steps.length) {
      part("confirm").close();
      await this.done(this.version, this.count);
      return;
    }
    const isLate = failed.some(({ set, error }) => error.status === 409 && set === this.source);
    const [first] = failed;
    part("refused").textContent = first ? first.error.message : "Stopped: the rest stays as it was.";
    part("reload").hidden = !isLate;
    this.offer(isLate ? null : this.count ? "Try the rest again" : "Try again", "Close");
    part(isLate ? "reload" : "send").focus();
  }

  async sendOne(step) {
    const { datastoreId, imageSetId } = step.set;
    const isSource = step.set === this.source;
    // of the source what was looked at is changed; of others, which are not shown, what is there
    const latest = isSource ? this.latest : await latestOf(step.set);
    const answer = await ask(`${root}/image-sets/${datastoreId}/${imageSetId}/attributes`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(bodyOf(latest, step)),
    });
    const { latestVersion } = await answer.json();
    if (isSource) this.version = latestVersion;
    return latestVersion;
  }

  tell(step, state, words) {
    const { imageSetId } = step.set;
    const more = step.others.length ? ` and ${step.others.length} more at once` : "";
    const name = `Image set ${imageSetId}${more}: ${words}`;
    const key = `${step.set.datastoreId} ${imageSetId} ${step.others.length}`;
    const line = this.lines.get(key) ?? element("li");
    this.lines.set(key, line);
    line.className = state === "failed" ? "bad" : "";
    line.textContent = name;
    part("steps").append(line);
    line.scrollIntoView?.({ block: "nearest" });
    // those who do not see the list hear what has come to an end
    if (state !== "sent") part("progress").textContent = name;
  }

  leave() {
    if (this.isRunning) {
      this.isStopped = true;
      part("progress").textContent = "Stopping after what is on its way…";
      return;
    }
    part("confirm").close();
    if (this.count) this.again();
  }

  reload() {
    part("confirm").close();
    this.again();
  }
}
