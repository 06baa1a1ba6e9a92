// Studies: search, sort, page, open.

import { askPage, bases, element, root } from "./gateway.js";
import { asked, remember, searchOf } from "./studies/query.js";
import { headOf, rowsOf } from "./studies/table.js";

const part = (id) => document.getElementById(id);
const form = part("search");
const table = part("studies");
let next = 0;
let running = new AbortController();

function fillForm(wanted) {
  for (const field of form.elements) if (field.name) field.value = wanted[field.name];
  part("rows").value = String(wanted.rows);
}

function go(changes) {
  remember({ ...asked(), ...changes });
  return show();
}

/** Show what the page's address asks for. */
async function show() {
  const wanted = asked();
  running.abort();
  running = new AbortController();
  const { signal } = running;
  fillForm(wanted);
  part("told").textContent = "Searching…";
  try {
    list(wanted, await askPage(searchOf(wanted), { signal }));
  } catch (error) {
    if (error.name === "AbortError") return;
    if (error.status === undefined) throw error;
    part("found").hidden = part("paging").hidden = true;
    part("told").replaceChildren(element("span", { class: "bad" }, error.message));
  }
}

function list(wanted, { rows, isCut }) {
  const isLast = rows.length <= wanted.rows && !isCut;
  const shown = rows.slice(0, wanted.rows);
  table.tHead.replaceChildren(headOf(wanted.sort, (sort) => go({ sort, offset: 0 })));
  table.tBodies[0].replaceChildren(...shown.flatMap((row) => rowsOf(row, wanted.base)));
  part("found").hidden = shown.length === 0;
  part("paging").hidden = isLast && wanted.offset === 0;
  part("earlier").disabled = wanted.offset === 0;
  part("later").disabled = isLast;
  const end = wanted.offset + shown.length;
  next = end;
  const range = shown.length ? `${wanted.offset + 1} to ${end}` : "none";
  part("place").textContent = range;
  const all = wanted.offset === 0 && isLast;
  const count = shown.length === 1 ? "1 study" : `${shown.length} studies`;
  part("told").textContent = all ? (shown.length ? count : "No study matches.") : `Studies ${range}${isLast ? "" : ", and more"}`;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const fields = Object.fromEntries(new FormData(form));
  go({ ...fields, base: fields.base ?? bases[0], offset: 0 });
});
part("clear").addEventListener("click", () => {
  remember({});
  show();
  form.elements.PatientName.focus();
});
part("earlier").addEventListener("click", () => go({ offset: Math.max(0, asked().offset - asked().rows) }));
part("later").addEventListener("click", () => go({ offset: next }));
part("rows").addEventListener("change", (event) => go({ rows: Number(event.target.value), offset: 0 }));
addEventListener("popstate", show);

part("service").hidden = bases.length < 2;
form.elements.base.append(...bases.map((base) => element("option", { value: base }, base.slice(root.length))));
await show();
