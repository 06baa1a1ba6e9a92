// Upload: drop or choose, look, send, and what became of it.

import { GatewayError, ask, bases, element, root, send } from "./gateway.js";
import { bodyOf } from "./upload/batches.js";
import { chosen, dropped } from "./upload/found.js";
import { UploadList } from "./upload/list.js";
import { Sender } from "./upload/sender.js";
import { StudyTable, counted, goneText, listReasons, saveReasons, showProgress, size } from "./upload/table.js";

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

async function post(files, signal, sent) {
  const { type, body } = bodyOf(files);
  const headers = { "Content-Type": type, Accept: "application/dicom+json" };
  const answer = await send(`${service.value}/studies`, { headers, body, signal, sent });
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
  const isSending = sender.state !== "idle";
  const more = table.show(list.studies);
  part("list").hidden = list.studies.size === 0;
  part("more").hidden = more === 0;
  part("more").textContent = `${counted(more, "more study")} not shown; the box above all others holds for them too.`;
  reasons("refused", list.refused.length, () => list.refused);
  reasons("failed", list.figures.failures, () => list.failed);
  offer();
  part("again").disabled = part("all").disabled = isSending;
  part("pause").hidden = !isSending;
  part("pause").textContent = sender.state === "sending" ? "Pause" : "Go on";
  service.disabled = isSending;
  tell(isSending);
}

/** What would be sent now. */
function offer() {
  const wanted = [...list.studies.values()].filter((study) => study.isWanted).map((study) => study.figures);
  const files = wanted.reduce((sum, { listed, failed }) => sum + listed + failed, 0);
  const bytes = wanted.reduce((sum, figures) => sum + figures.listedBytes + figures.failedBytes, 0);
  part("send").disabled = !files;
  part("send").textContent = files ? `Send ${counted(files, "file")}, ${size(bytes)}` : "Send";
}

/** List what was left out or failed, when that has changed (`turn`). */
function reasons(name, turn, rowsOf) {
  if (Number(part(name).dataset.turn ?? 0) === turn) return;
  part(name).dataset.turn = turn;
  const rows = rowsOf();
  part(name).hidden = !rows.length;
  listReasons(part(`${name}-files`), part(`${name}-count`), rows);
}

/** What a screen reader says, too: changes of the state, and no numbers that run. */
function tell(isSending) {
  const { files, listed, stored, failed, gone } = list.figures;
  const sent = files - listed;
  const way = { gone, bytes: list.figures.bytes - list.figures.listedBytes };
  showProgress(part("progress"), way, isSending);
  const figures = looking ? [`${counted(list.looked, "file")} looked at`] : [];
  if (isSending) figures.unshift(`${stored.toLocaleString("en")} of ${counted(sent, "file")} stored, ${goneText(way)}`);
  part("figures").textContent = figures.join("; ");
  let text = "";
  if (isSending) text = TOLD[sender.state] ?? (sender.message ? `Waiting for the gateway: ${sender.message}` : "Sending…");
  else if (looking) text = "Looking at the files…";
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
part("again").addEventListener("click", () => sender.send(list.failed));
part("pause").addEventListener("click", () => (sender.state === "sending" ? sender.pause() : sender.resume()));
part("all").addEventListener("change", (event) => {
  for (const study of list.studies.values()) study.isWanted = event.target.checked;
  draw();
});
part("save-refused").addEventListener("click", () => saveReasons(list.refused, "left-out.tsv"));
part("save-failed").addEventListener("click", () => {
  saveReasons(list.failed, "failed.tsv");
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
