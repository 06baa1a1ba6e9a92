// What the scripts of all pages use to speak to this gateway.

const frame = document.documentElement.dataset;

/** Path of the gateway's root as the browser sees it, "" for that of the site. */
export const root = frame.root;

/** Paths of the DICOMweb services, such as ["/aetitle"], below the site's root. */
export const bases = frame.bases.split(" ").map((path) => root + path);

/** A refused or failed answer: `status` (0: none came), `message` as the gateway says it. */
export class GatewayError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
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
  throw new GatewayError(answer.status, await reason(answer));
}

/** Take up a login that was made in another tab; false while there is none. That of somebody else starts anew. */
export async function renew() {
  const answer = await fetch(`${root}/session`, { credentials: "same-origin", headers: { "X-Requested-With": "dicomweb-gateway" } });
  if (!answer.ok) return false;
  const session = await answer.json();
  if (session.user !== frame.known) location.reload();
  frame.csrf = session.session?.csrf ?? "";
  return true;
}

/** The JSON document at `path`; null for an answer without one. */
export async function askJson(path, options = {}) {
  const headers = new Headers(options.headers);
  if (!headers.has("Accept")) headers.set("Accept", "application/dicom+json, application/json");
  const answer = await ask(path, { ...options, headers });
  return answer.status === 204 ? null : answer.json();
}

async function reason(answer) {
  try {
    return (await answer.json()).message;
  } catch {
    return `the gateway answers ${answer.status}`;
  }
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
