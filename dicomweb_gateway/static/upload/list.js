// What is to be sent: instances by patient and study, and what was left out, with the reason.

import { checked } from "./checking.js";
import { count, nothing } from "./counting.js";
import { Refused } from "./elements.js";

const AT_ONCE = 4;

/** The files that were named, sorted out. */
export class UploadList {
  constructor() {
    this.figures = nothing();
    this.studies = new Map();
    this.instances = new Map();
    this.refused = [];
    this.again = 0;
    this.looked = 0;
  }

  /** Look at all of `files`, {file, path} each, some at a time; `told` is called after every one. */
  async take(files, told) {
    const work = async () => {
      for (let next = await files.next(); !next.done; next = await files.next()) {
        await this.#look(next.value);
        this.looked += 1;
        told();
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  }

  /** Instances of the studies that `isWanted`, study by study, that are not stored. */
  open(isWanted) {
    return [...this.studies.values()].filter(isWanted).flatMap((study) => study.items.filter((one) => one.state !== "stored"));
  }

  /** The items that failed. */
  get failed() {
    return [...this.instances.values()].filter((item) => item.state === "failed");
  }

  async #look({ file, path }) {
    try {
      if (!file) throw new Refused("it cannot be read");
      const facts = await checked(file);
      // of thousands of files no more is kept than is needed
      const item = { file, path, facts: { instance: facts.instance }, state: "listed", reason: "", tries: 0 };
      this.#add(item, facts);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.refused.push({ path, reason: error.message });
    }
  }

  #add(item, facts) {
    const known = this.instances.get(facts.instance);
    if (known && isSame(known, item)) {
      this.again += 1;
      return;
    }
    if (known && known.state !== "failed") throw new Refused(`its SOPInstanceUID is that of ${known.path}`);
    if (known) {
      known.study.items.splice(known.study.items.indexOf(known), 1);
      count(known, known.counted, -1);
    }
    this.instances.set(facts.instance, item);
    item.study = this.#studyOf(facts);
    item.study.items.push(item);
    if (facts.modality) item.study.modalities.add(facts.modality);
    count(item, [item.study.figures, this.figures]);
  }

  #studyOf(facts) {
    const { issuer, patientId, patientName, study, date, description } = facts;
    const who = JSON.stringify(patientId ? [issuer, patientId] : [issuer, "", patientName]);
    const key = JSON.stringify([who, study]);
    if (!this.studies.has(key)) {
      const more = { items: [], isWanted: true, modalities: new Set(), figures: nothing() };
      this.studies.set(key, { key, who, patientName, patientId, uid: study, date, description, ...more });
    }
    return this.studies.get(key);
  }
}

function isSame(one, other) {
  const { file } = one;
  return one.path === other.path && file.size === other.file.size && file.lastModified === other.file.lastModified;
}
