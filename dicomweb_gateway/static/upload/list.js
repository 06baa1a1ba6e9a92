// What is to be sent: instances by patient and study, and what was left out, with the reason.

import { checked } from "./checking.js";
import { Refused } from "./elements.js";

const AT_ONCE = 4;

/** The files that were named, sorted out. */
export class UploadList {
  constructor() {
    this.patients = new Map();
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

  async #look({ file, path }) {
    try {
      if (!file) throw new Refused("it cannot be read");
      this.#add({ file, path, facts: await checked(file), state: "listed", reason: "", tries: 0 });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.refused.push({ path, reason: error.message });
    }
  }

  #add(item) {
    const known = this.instances.get(item.facts.instance);
    if (known && isSame(known, item)) {
      this.again += 1;
      return;
    }
    if (known && known.state !== "failed") throw new Refused(`its SOPInstanceUID is that of ${known.path}`);
    if (known) known.study.items.splice(known.study.items.indexOf(known), 1);
    this.instances.set(item.facts.instance, item);
    item.study = this.#studyOf(item.facts);
    item.study.items.push(item);
  }

  #studyOf(facts) {
    const { issuer, patientId, patientName, study, date, description } = facts;
    const who = JSON.stringify(patientId ? [issuer, patientId] : [issuer, "", patientName]);
    const key = JSON.stringify([who, study]);
    if (!this.studies.has(key)) {
      this.studies.set(key, { key, who, patientName, patientId, uid: study, date, description, items: [], isWanted: true });
    }
    return this.studies.get(key);
  }
}

function isSame(one, other) {
  const { file } = one;
  return one.path === other.path && file.size === other.file.size && file.lastModified === other.file.lastModified;
}

/** What a study has: files, bytes, modalities, and how many files are in each state. */
export function figuresOf({ items }) {
  const states = { listed: 0, waiting: 0, sending: 0, stored: 0, failed: 0 };
  let bytes = 0;
  for (const item of items) {
    states[item.state] += 1;
    bytes += item.file.size;
  }
  return { files: items.length, bytes, modalities: [...new Set(items.map((item) => item.facts.modality).filter(Boolean))], ...states };
}
