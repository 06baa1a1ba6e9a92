// The steps of an edit, sent one after the other: HealthImaging takes one in a few seconds, and may be at work.

import { oneByOne } from "./edits.js";

const MOST_TRIES = 6;
const LONGEST_WAIT = 30;

/** Send `steps` with `send`, which gives the new version; {made, failed, stopped}: how many image sets, which steps.
 *
 * `tell(step, state, words)` hears of each step: "waiting", "sent", "made", "failed". `wait(seconds)` passes the time.
 * `isStopped()` is asked before each step, and what is left then is in `stopped`; so is what is left when a step fails that
 * `decides` for all: what is refused where one has looked is not done elsewhere.
 */
export async function sendAll(steps, { send, tell, wait, isStopped, decides = () => false }) {
  const left = [...steps];
  const told = { made: 0, failed: [], stopped: [] };
  while (left.length) {
    if (isStopped()) return { ...told, stopped: left };
    const step = left.shift();
    try {
      const version = await patiently(step, { send, tell, wait, isStopped });
      told.made += 1 + step.others.length;
      tell(step, "made", `version ${version}`);
    } catch (error) {
      if (error.status === undefined) throw error;
      if (error.status === 400 && step.others.length) {
        // who may not see the whole data store may still change what they see of it
        tell(step, "split", "one by one");
        left.unshift(...oneByOne(step));
        continue;
      }
      told.failed.push({ ...step, error });
      tell(step, "failed", error.message);
      if (decides(step)) return { ...told, stopped: left };
    }
  }
  return told;
}

/** Send one step, again when HealthImaging asks for some time. */
async function patiently(step, { send, tell, wait, isStopped }) {
  for (let tries = 1; ; tries += 1) {
    tell(step, "sent", "being changed");
    try {
      return await send(step);
    } catch (error) {
      const isBusy = (error.status === 503 || error.status === 429) && error.after > 0;
      if (!isBusy || tries === MOST_TRIES || isStopped()) throw error;
      tell(step, "waiting", `asked to wait ${error.after} s`);
      await wait(Math.min(error.after, LONGEST_WAIT));
    }
  }
}
