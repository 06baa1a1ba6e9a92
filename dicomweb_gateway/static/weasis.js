// The way to Weasis: a link, or, where this browser has a login, a button that first asks for a ticket to read the study.

import { ask, element, hasSession, root } from "./gateway.js";
import { weasisOf } from "./places.js";

/** What opens Weasis with the study of `place`, called `title`. */
export function wayToWeasis(place, title) {
  if (!hasSession()) return element("a", { href: weasisOf(place) }, title);
  const told = element("span", { role: "status" });
  const button = element("button", { type: "button", class: "plain" }, title);
  button.addEventListener("click", () => open(place, button, told));
  return element("span", {}, button, " ", told);
}

/** Open Weasis; `told` says what becomes of it. */
async function open(place, button, told) {
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  told.className = "soft";
  told.textContent = "";
  try {
    location.assign(weasisOf(place, await ticketFor(place)));
    told.textContent = "Weasis is asked to open it.";
  } catch (error) {
    if (error.status === undefined) throw error;
    told.className = "bad";
    told.textContent = error.message;
  } finally {
    button.removeAttribute("aria-disabled");
  }
}

/** A ticket for the study of `place`; throws GatewayError. */
export async function ticketFor({ base, study }) {
  const body = JSON.stringify({ base: base.slice(root.length), study });
  const answer = await ask(`${root}/tickets`, { method: "POST", headers: { "Content-Type": "application/json" }, body });
  return (await answer.json()).ticket;
}
