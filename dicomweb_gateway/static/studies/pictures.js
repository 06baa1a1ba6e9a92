// Small pictures of series, each asked for when it comes near the window.

import { LENIENT, ask } from "../gateway.js";

const NEAR = "300px";
const BUSY = [429, 503];
const TRIES = 5;
const PATIENCE = 2;
const waiting = new WeakMap();
const watch = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      watch.unobserve(target);
      load(target, waiting.get(target));
    }
  },
  { rootMargin: NEAR },
);

/** An <img> that will show what is at `address`; where there is no picture, the text `instead` stands in its place. */
export function picture(address, instead) {
  const image = document.createElement("img");
  image.alt = "";
  waiting.set(image, { address, instead });
  watch.observe(image);
  return image;
}

async function load(image, { address, instead }, tries = 1) {
  try {
    const answer = await ask(address, { headers: LENIENT });
    const source = URL.createObjectURL(await answer.blob());
    image.addEventListener("load", () => URL.revokeObjectURL(source));
    image.src = source;
  } catch (error) {
    if (error.status === undefined) throw error;
    if (!BUSY.includes(error.status) || tries === TRIES || !image.isConnected) return image.replaceWith(instead);
    setTimeout(() => load(image, { address, instead }, tries + 1), (error.after || PATIENCE) * 1000);
  }
  return undefined;
}
