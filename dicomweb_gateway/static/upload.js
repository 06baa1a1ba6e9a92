// Upload: drop or choose, look, send, and what became of it.

import { GatewayError, ask, bases, element, root } from "./gateway.js";
import { bodyOf } from "./upload/batches.js";
import { chosen, dropped } from "./upload/found.js";
import { UploadList } from "./upload/list.js";
import { Sender } from "./upload/sender.js";
import { StudyTable, counted, listReasons, saveReasons, size } from "./upload/table.js";

const TOLD = {
  paused: "Paused. What was on its way will be sent again.",
  login: "Your login has ended. Log in again and sending goes on.",
  lost: "The connection is lost. Sending goes on when the gateway answers again.",
};
const part = (id) => document.getElementById(id);
const service = part("service");
const list = new UploadList();
let looking = 0;
let isDrawn = true;
let wasSending = false;

const sender = new Sender({ post, reach: () => ask(`${root}/session`), changed: draw });
const placeOf = () => (service.value === bases[0] ? {} : { base: service.value.slice(root.length) });
const table = new StudyTable(part("studies"), placeOf, draw);

async function post(files, signal) {
  const { type, body } = bodyOf(files);
  const headers = { "Content-Type": type, Accept: "application/dicom+json" };
  const answer = await ask(`${service.value}/studies`, { method: "POST", headers, body, signal });
  try {
    return await answer.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new GatewayError(0, "the gateway's answer was cut off");
  }
}

async function take(files) {
  looking += 1;
  draw();
  try {
    await list.take(files, draw);
  } finally {
    looking -= 1;
    draw();
  }
}

/** Show everything, at most once a picture of the screen. */
function draw() {
  if (!isDrawn) return;
  isDrawn = false;
  setTimeout(() => {
    isDrawn = true;
    show();
  }, 100);
}

function show() {
  const failed = [...list.instances.values()].filter((item) => item.state === "failed");
  const wanted = list.open((study) => study.isWanted).filter((item) => item.state === "listed" || item.state === "failed");
  const isSending = sender.state !== "idle";
  table.show(list.studies);
  part("list").hidden = list.studies.size === 0;
  reasons("refused", list.refused);
  reasons("failed", failed);
  part("send").disabled = !wanted.length;
  part("send").textContent = wanted.length ? `Send ${counted(wanted.length, "file")}, ${size(bytesOf(wanted))}` : "Send";
  part("again").disabled = part("all").disabled = isSending;
  part("pause").hidden = !isSending;
  part("pause").textContent = sender.state === "sending" ? "Pause" : "Go on";
  service.disabled = isSending;
  tell(isSending, failed.length);
}

const bytesOf = (items) => items.reduce((sum, { file }) => sum + file.size, 0);

function reasons(name, rows) {
  part(name).hidden = !rows.length;
  if (Number(part(name).dataset.count ?? 0) === rows.length && name === "refused") return;
  part(name).dataset.count = rows.length;
  listReasons(part(`${name}-files`), part(`${name}-count`), rows);
}

/** What a screen reader says, too: changes of the state, and no numbers that run. */
function tell(isSending, failed) {
  const items = [...list.instances.values()];
  const stored = items.filter((item) => item.state === "stored").length;
  const sent = items.filter((item) => item.state !== "listed").length;
  part("figures").textContent = looking
    ? `${counted(list.looked, "file")} looked at`
    : isSending
      ? `${stored} of ${counted(sent, "file")} stored`
      : "";
  let text = "";
  if (looking) text = "Looking at the files…";
  else if (isSending) text = TOLD[sender.state] ?? (sender.message ? `Waiting for the gateway: ${sender.message}` : "Sending…");
  else if (sent) text = `Done: ${counted(stored, "file")} stored${failed ? `, ${failed} failed` : ""}.`;
  else if (list.looked) text = found();
  if (part("told").textContent !== text) part("told").textContent = text;
  wasSending = isSending;
}

function found() {
  const parts = [`${counted(list.instances.size, "file")} of ${list.studies.size === 1 ? "1 study" : `${list.studies.size} studies`} found`];
  if (list.refused.length) parts.push(`${list.refused.length} left out`);
  if (list.again) parts.push(`${list.again} named twice`);
  return `${parts.join(", ")}.`;
}

part("send").addEventListener("click", () => sender.send(list.open((study) => study.isWanted)));
part("again").addEventListener("click", () => sender.send(list.open(() => true).filter((item) => item.state === "failed")));
part("pause").addEventListener("click", () => (sender.state === "sending" ? sender.pause() : sender.resume()));
part("all").addEventListener("change", (event) => {
  for (const study of list.studies.values()) study.isWanted = event.target.checked;
  draw();
});
part("save-refused").addEventListener("click", () => saveReasons(list.refused, "left-out.tsv"));
part("save-failed").addEventListener("click", () => {
  saveReasons([...list.instances.values()].filter((item) => item.state === "failed"), "failed.tsv");
});
for (const kind of ["files", "folder"]) {
  const input = part(`${kind}-input`);
  part(kind).addEventListener("click", () => input.click());
  input.addEventListener("change", async () => {
    const files = [...input.files];
    // the same may be chosen again
    input.value = "";
    await take(chosen(files));
  });
}
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  part("drop").classList.add("over");
});
document.addEventListener("dragleave", (event) => event.relatedTarget || part("drop").classList.remove("over"));
document.addEventListener("drop", (event) => {
  // else the browser would open the file in the place of this page
  event.preventDefault();
  part("drop").classList.remove("over");
  if (event.dataTransfer) take(dropped(event.dataTransfer));
});
document.addEventListener("login-renewed", () => sender.retry("login"));
addEventListener("online", () => sender.retry("lost"));
// what is being sent asks first, as for every other way to leave the page
part("anew").addEventListener("click", () => location.reload());
addEventListener("beforeunload", (event) => wasSending && event.preventDefault());

part("where").hidden = bases.length < 2;
service.append(...bases.map((base) => element("option", { value: base }, base.slice(root.length))));
