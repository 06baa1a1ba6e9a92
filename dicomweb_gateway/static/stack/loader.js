// What is loaded when: the current image first, coarse and then full, then those around it; what is passed is left.

import { fetchLevel, fetchRendered } from "./fetching.js";
import { Shelf } from "./shelf.js";

const AT_ONCE = 4;
const NEAR = 8;
const FAR = 32;
const BUSY = [429, 503];
const PATIENCE = 1500;

/** Loads pictures of `images` below the address `series`; tells `on.picture(index)`, `on.failure(index, error)`, `on.change()`. */
export class Loader {
  constructor(series, images, on) {
    Object.assign(this, { series, images, on, shelf: new Shelf(), running: new Map(), failed: new Set() });
    Object.assign(this, { method: "levels", top: null, ahead: "near", window: null });
    Object.assign(this, { current: 0, heading: 1, pausedUntil: 0, looked: null, began: 0, figures: nothing() });
  }

  /** Load by `method` ("levels", "full", "rendered") up to level `top` (null: the last) from now on. */
  choose(changes) {
    Object.assign(this, changes);
    for (const job of this.running.values()) job.abort();
    this.running.clear();
    this.shelf.clear();
    this.figures = nothing();
    this.began = performance.now();
    this.show(this.current);
    this.on.change();
  }

  /** Make `index` the image that is looked at. */
  show(index) {
    if (index !== this.current) this.heading = index > this.current ? 1 : -1;
    this.current = index;
    for (const step of ["coarse", "full"]) this.failed.delete(`${index} ${step}`);
    const { shelf } = this;
    this.looked = { at: performance.now(), coarse: shelf.has(index) ? 0 : null, full: shelf.isFull(index) ? 0 : null };
    this.#pump();
  }

  /** The best picture of an image that is there, undefined for none. */
  picture(index) {
    return this.shelf.get(index);
  }

  /** How many images are there as they were asked for. */
  get loaded() {
    return this.shelf.countFull;
  }

  /** Leave everything that is on its way. */
  stop() {
    for (const job of this.running.values()) job.abort();
    this.running.clear();
    this.images = [];
  }

  #pump() {
    if (performance.now() < this.pausedUntil) return;
    const wanted = this.#wanted();
    const names = new Set(wanted.map(({ name }) => name));
    for (const [name, job] of this.running) {
      if (names.has(name)) continue;
      job.abort();
      this.running.delete(name);
      this.figures.cancelled += 1;
    }
    // until the first picture is there in full it has the line to itself
    const isOpening = this.shelf.countFull === 0 && !this.failed.has(`${this.current} full`);
    for (const job of wanted) {
      const isCurrent = job.index === this.current;
      if (isOpening && !isCurrent) break;
      if (this.running.size >= AT_ONCE + (isCurrent ? 2 : 0)) break;
      if (!this.running.has(job.name)) this.#start(job);
    }
  }

  /** Jobs that are still to be done, the most urgent first. */
  #wanted() {
    const jobs = [];
    const count = this.images.length;
    const add = (index, step) => {
      const name = `${index} ${step}`;
      if (index < 0 || index >= count || this.failed.has(name)) return;
      if (this.shelf.isFull(index) || (step === "coarse" && this.shelf.has(index))) return;
      jobs.push({ index, step, name });
    };
    if (this.method === "levels") add(this.current, "coarse");
    add(this.current, "full");
    // where the image that is looked at cannot be shown, those around it are not pressed for
    if (this.ahead === "none" || this.failed.has(`${this.current} full`)) return jobs;
    const reach = this.ahead === "all" ? count : NEAR;
    for (let away = 1; away <= reach && jobs.length < 4 * AT_ONCE; away += 1) {
      for (const way of [this.heading, -this.heading]) {
        if (!this.shelf.isOver(this.current, away)) add(this.current + way * away, "full");
      }
    }
    if (this.method !== "levels" || this.ahead === "all") return jobs;
    for (let away = NEAR + 1; away <= FAR && jobs.length < 4 * AT_ONCE; away += 1) add(this.current + this.heading * away, "coarse");
    return jobs;
  }

  async #start(job) {
    const control = new AbortController();
    // time in which nothing was to be loaded does not count
    if (this.running.size === 0) this.began = performance.now() - this.figures.time;
    this.running.set(job.name, control);
    this.figures.requests += 1;
    try {
      const picture = await this.#fetch(job, control.signal);
      if (control.signal.aborted) return;
      this.figures.bytes += picture.bytes;
      this.figures.size += picture.size;
      this.figures.time = performance.now() - this.began;
      this.shelf.put(job.index, picture, job.step === "full" || picture.isLast === true, this.current);
      this.#note(job);
      this.on.picture(job.index);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.#failed(job, error);
    } finally {
      if (this.running.get(job.name) === control) this.running.delete(job.name);
    }
    this.#pump();
    this.on.change();
  }

  #fetch({ index, step }, signal) {
    const image = this.images[index];
    if (this.method === "rendered") {
      return fetchRendered(this.series, image, { side: this.top?.side, window: this.window }, signal);
    }
    const level = step === "coarse" ? 0 : (this.top?.level ?? "last");
    return fetchLevel(this.series, image, level, signal);
  }

  #note({ index }) {
    if (index !== this.current || !this.looked) return;
    const took = performance.now() - this.looked.at;
    this.looked.coarse ??= took;
    if (this.shelf.isFull(index)) this.looked.full ??= took;
  }

  #failed(job, error) {
    if (BUSY.includes(error.status)) {
      this.pausedUntil = performance.now() + PATIENCE;
      setTimeout(() => this.#pump(), PATIENCE + 1);
      return;
    }
    this.failed.add(job.name);
    this.on.failure(job.index, error);
  }
}

function nothing() {
  return { bytes: 0, size: 0, requests: 0, cancelled: 0, time: 0 };
}
