// What the scripts of all pages use to speak to this gateway.

const frame = document.documentElement.dataset;

/** Path of the gateway's root as the browser sees it, "" for that of the site. */
export const root = frame.root;

/** Paths of the DICOMweb services, such as ["/aetitle"], below the site's root. */
export const bases = frame.bases.split(" ").map((path) => root + path);

/** Whether the login is a session of this browser, which no other program on this machine has. */
export const hasSession = () => Boolean(frame.csrf);

/** A refused or failed answer: `status` (0: none came), `message` as the gateway says it, the whole `document`.
 *
 * `after`: the seconds after which it wants to be asked again, 0 where it says none.
 */
export class GatewayError extends Error {
  constructor(status, message, document = null, after = 0) {
    super(message);
    Object.assign(this, { status, document, after });
  }
}

/** The answer to a request below the site's root, as `fetch` gives it; throws GatewayError unless it is 2xx.
 *
 * What changes something carries the proof that it comes from a page of ours. A login that has ended is told
 * by the event `login-ended` on `document`, which the frame answers: the page stays as it is meanwhile.
 */
export async function ask(path, options = {}) {
  const headers = new Headers(options.headers);
  headers.set("X-Requested-With", "dicomweb-gateway");
  if (frame.csrf) headers.set("X-CSRF-Token", frame.csrf);
  let answer;
  try {
    answer = await fetch(path, { ...options, headers, credentials: "same-origin", redirect: "error" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new GatewayError(0, "the gateway does not answer");
  }
  if (answer.ok) return answer;
  if (answer.status === 401 && "known" in frame) document.dispatchEvent(new Event("login-ended"));
  throw await refusal(answer);
}

/** Take up a login that was made in another tab; false while there is none. That of somebody else starts anew.
 *
 * The event `login-renewed` on `document` tells scripts that they can go on.
 */
export async function renew() {
  const answer = await fetch(`${root}/session`, { credentials: "same-origin", headers: { "X-Requested-With": "dicomweb-gateway" } });
  if (!answer.ok) return false;
  const session = await answer.json();
  if (session.user !== frame.known) {
    location.reload();
    return false;
  }
  frame.csrf = session.session?.csrf ?? "";
  document.dispatchEvent(new Event("login-renewed"));
  return true;
}

/** The JSON document at `path`; null for an answer without one. */
export async function askJson(path, options = {}) {
  const headers = new Headers(options.headers);
  if (!headers.has("Accept")) headers.set("Accept", "application/dicom+json, application/json");
  const answer = await ask(path, { ...options, headers });
  return answer.status === 204 ? null : answer.json();
}

async function refusal(answer) {
  const told = await answer.json().catch(() => null);
  const message = told?.message ?? `the gateway answers ${answer.status}`;
  return new GatewayError(answer.status, message, told, Number(answer.headers.get("Retry-After")) || 0);
}

/** A new element: attributes by name, `on...` functions as listeners, children as nodes or text. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value != null) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}
