// What the scripts of all pages use to speak to this gateway.

const frame = document.documentElement.dataset;
const PAGE = 1000;
const CUT = /\d additional results/;
const SILENT = "the gateway does not answer";

/** Path of the gateway's root as the browser sees it, "" for that of the site. */
export const root = frame.root;

/** Paths of the DICOMweb services, such as ["/aetitle"], below the site's root. */
export const bases = frame.bases.split(" ").map((path) => root + path);

/** Operations that the caller may do somewhere, such as "rendered": nothing else need be asked for. */
export const may = new Set((frame.may ?? "").split(" "));

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

/** Headers by which a picture that cannot be made is an empty answer, of which browsers write no error. */
export const LENIENT = { Prefer: "handling=lenient" };

/** The answer to a request below the site's root, as `fetch` gives it; throws GatewayError unless it is 2xx.
 *
 * What changes something carries the proof that it comes from a page of ours. A login that has ended is told
 * by the event `login-ended` on `document`, which the frame answers: the page stays as it is meanwhile.
 */
export async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { ...options, headers: proven(options.headers), credentials: "same-origin", redirect: "error" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new GatewayError(0, SILENT);
  }
  return settled(answer);
}

/** The answer to a POST of `body`, as `ask` gives it; `sent` is told what share of it, 0 to 1, has gone. */
export async function send(path, { headers, body, signal, sent }) {
  const answer = await new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    for (const [name, value] of proven(headers)) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", ({ loaded, total }) => total && sent(loaded / total));
    request.addEventListener("load", () => {
      const after = request.getResponseHeader("Retry-After");
      const { status, responseText } = request;
      resolve(new Response(responseText || null, { status, headers: after ? { "Retry-After": after } : {} }));
    });
    request.addEventListener("error", () => reject(new GatewayError(0, SILENT)));
    request.addEventListener("abort", () => reject(new DOMException("left", "AbortError")));
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(body);
  });
  return settled(answer);
}

function proven(given) {
  const headers = new Headers(given);
  headers.set("X-Requested-With", "dicomweb-gateway");
  if (frame.csrf) headers.set("X-CSRF-Token", frame.csrf);
  return headers;
}

async function settled(answer) {
  if (answer.ok && answer.headers.has("Preference-Applied")) {
    const [, message] = /"(.*)"/.exec(answer.headers.get("Warning") ?? "") ?? [];
    throw new GatewayError(406, message ?? "the gateway cannot show it");
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

/** All that the search at `path` finds, in as many answers as it takes. */
export async function askRows(path, query = {}) {
  const all = [];
  for (;;) {
    const page = new URLSearchParams({ ...query, limit: PAGE, offset: all.length });
    const { rows, isCut } = await askPage(`${path}?${page}`);
    all.push(...rows);
    if (rows.length === 0 || (rows.length < PAGE && !isCut)) return all;
  }
}

/** One answer to a search: `isCut` where the gateway gives fewer rows at once than were asked for, and has more. */
export async function askPage(path, options = {}) {
  const answer = await ask(path, { ...options, headers: { Accept: "application/dicom+json" } });
  return { rows: answer.status === 204 ? [] : await answer.json(), isCut: CUT.test(answer.headers.get("Warning") ?? "") };
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
