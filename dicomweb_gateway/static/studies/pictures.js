// Small pictures of series, each asked for when it comes near the window.

import { GatewayError, LENIENT, ask } from "../gateway.js";

const NEAR = "300px";
const LATER = [0, 429, 503];
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
    const source = URL.createObjectURL(await fetched(address));
    for (const end of ["load", "error"]) image.addEventListener(end, () => URL.revokeObjectURL(source));
    image.addEventListener("error", () => image.replaceWith(instead));
    image.src = source;
  } catch (error) {
    if (error.status === undefined) throw error;
    if (!LATER.includes(error.status) || tries === TRIES) return image.replaceWith(instead);
    setTimeout(() => load(image, { address, instead }, tries + 1), (error.after || PATIENCE) * 1000);
  }
  return undefined;
}

async function fetched(address) {
  const answer = await ask(address, { headers: LENIENT });
  return answer.blob().catch(() => {
    throw new GatewayError(0, "the picture was cut off");
  });
}
