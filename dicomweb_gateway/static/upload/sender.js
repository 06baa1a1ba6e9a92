// Sends what waits, some requests at a time, through lost connections, busy times and logins that end.
//
// A batch that was cut off is sent again: what is stored twice is stored once.

import { MOST, goneOf, nextBatch } from "./batches.js";
import { goes, move } from "./counting.js";
import { isResponse, outcomesOf } from "./outcomes.js";

const AT_ONCE = 2;
const TRIES = 8;
const AGAIN = [408, 429, 500, 502, 503, 504];
const CLOSED = [403, 404, 405];
const LONGEST = 30_000;

/** `state`: idle, sending, paused (by the user), login (one must log in), lost (no connection), busy.
 *
 * `post(files, signal, sent)` gives the answer's document, tells `sent` what share has gone, and throws what `ask`
 * throws; `reach()` throws the same where the gateway cannot be reached; `changed()` is called after every change.
 */
export class Sender {
  constructor({ post, reach, changed }) {
    Object.assign(this, { post, reach, changed });
    this.state = "idle";
    this.message = "";
    this.waiting = [];
    this.running = new Map();
    this.most = { ...MOST };
    this.wait = 1000;
  }

  /** Send `items` too. */
  send(items) {
    for (const item of items) {
      if (["waiting", "sending", "stored"].includes(item.state)) continue;
      move(item, "waiting");
      item.tries = 0;
      this.waiting.push(item);
    }
    if (this.state === "idle") this.resume();
    else this.changed();
  }

  /** Stop what is on its way; it waits then. */
  pause() {
    if (this.state === "idle") return;
    this.#hold("paused", "");
    for (const stop of this.running.values()) stop.abort();
  }

  /** Go on after a pause of any kind. */
  resume() {
    clearTimeout(this.timer);
    this.state = "sending";
    this.message = "";
    this.#go();
  }

  /** Go on where only a login was missing, or a connection. */
  retry(state) {
    if (this.state === state) this.resume();
  }

  #go() {
    while (this.state === "sending" && this.running.size < AT_ONCE && this.waiting.length) {
      this.#run(nextBatch(this.waiting, this.most));
    }
    if (!this.running.size && !this.waiting.length) this.state = "idle";
    this.changed();
  }

  async #run(batch) {
    const stop = new AbortController();
    this.running.set(batch, stop);
    for (const item of batch) move(item, "sending");
    const files = batch.map((item) => item.file);
    try {
      this.#settle(batch, await this.post(files, stop.signal, (share) => this.#note(batch, stop.signal, share)));
      this.wait = 1000;
    } catch (error) {
      if (error.name === "AbortError") this.#back(batch);
      else await this.#failed(batch, error);
    }
    this.running.delete(batch);
    this.#go();
  }

  #note(batch, signal, share) {
    if (signal.aborted) return;
    const gone = goneOf(batch, share);
    batch.forEach((item, at) => goes(item, gone[at]));
    this.changed();
  }

  #settle(batch, document) {
    const reasons = outcomesOf(document, batch.map((item) => item.facts.instance));
    batch.forEach((item, at) => move(item, reasons[at] ? "failed" : "stored", reasons[at]));
  }

  async #failed(batch, error) {
    if (error.status === undefined) {
      this.#give(batch, "the page failed");
      throw error;
    }
    if (isResponse(error.document)) return this.#settle(batch, error.document);
    if (error.status === 0) return this.#cut(batch, error);
    if (error.status === 401) return this.#needLogin(batch);
    if (error.status === 413 && batch.length > 1) {
      this.most.files = Math.max(1, Math.floor(batch.length / 2));
      return this.#back(batch);
    }
    if (AGAIN.includes(error.status)) return this.#later(batch, "busy", error);
    this.#give(batch, error.message);
    // what waits would be sent for nothing
    if (CLOSED.includes(error.status)) this.#give(this.waiting.splice(0), error.message);
  }

  /** No answer came: a file that is gone, a connection that is lost, or a gateway that hung up and says why. */
  async #cut(batch, error) {
    const readable = [];
    for (const item of batch) {
      if (await isReadable(item.file)) readable.push(item);
      else this.#give([item], "it cannot be read any more, or has changed");
    }
    if (readable.length < batch.length) return this.#back(readable);
    try {
      await this.reach();
    } catch (reached) {
      if (reached.status === 401) return this.#needLogin(batch);
      if (reached.status === 0) {
        this.#back(batch);
        return this.#hold("lost", error.message, this.#nextWait());
      }
    }
    this.most.files = Math.max(1, Math.floor(batch.length / 2));
    this.#later(batch, "busy", error);
  }

  #later(batch, state, error) {
    for (const item of batch) item.tries += 1;
    this.#give(batch.filter((item) => item.tries >= TRIES), error.message);
    this.#back(batch.filter((item) => item.tries < TRIES));
    this.#hold(state, error.message, Math.max(this.#nextWait(), (error.after ?? 0) * 1000));
  }

  #needLogin(batch) {
    this.#back(batch);
    this.#hold("login", "");
  }

  #hold(state, message, wait) {
    if (this.state === "paused" || (this.state === "login" && state !== "paused")) return;
    clearTimeout(this.timer);
    Object.assign(this, { state, message });
    if (wait) this.timer = setTimeout(() => this.retry(state), wait);
    this.changed();
  }

  #nextWait() {
    const wait = this.wait;
    if (this.state === "sending") this.wait = Math.min(wait * 2, LONGEST);
    return wait;
  }

  #back(batch) {
    for (const item of batch) move(item, "waiting");
    this.waiting.unshift(...batch);
  }

  #give(batch, reason) {
    for (const item of batch) move(item, "failed", reason);
  }
}

async function isReadable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}
