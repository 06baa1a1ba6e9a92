// Looks at a file before it is sent: whether it is DICOM, whole, and whose.

import { personName } from "../dicom.js";
import { Refused } from "./elements.js";
import { ascii, opened } from "./form.js";
import { textsIn } from "./texts.js";

const WANTED = {
  0x00080005: "characterSet",
  0x00080016: "sopClass",
  0x00080018: "instance",
  0x00080020: "date",
  0x00080060: "modality",
  0x00081030: "description",
  0x00100010: "patientName",
  0x00100020: "patientId",
  0x00100021: "issuer",
  0x0020000d: "study",
  0x0020000e: "series",
};
const LAST = 0x0020000e;
const UIDS = { sopClass: "SOPClassUID", instance: "SOPInstanceUID", study: "StudyInstanceUID", series: "SeriesInstanceUID" };
const DIRECTORY = /1\.2\.840\.10008\.1\.3\.10(?![\d.])/;

/** What `file` says of itself, as texts by the names above; throws Refused. What it holds beside is not judged here. */
export async function checked(file) {
  let values;
  try {
    values = await read(file);
  } catch (error) {
    if (error instanceof Refused) throw error;
    throw new Refused("it cannot be read");
  }
  const found = texts(values);
  if (DIRECTORY.test(found.sopClass)) throw new Refused("a DICOMDIR, which only lists files");
  for (const [name, keyword] of Object.entries(UIDS)) {
    if (!found[name]) throw new Refused(`it has no ${keyword}`);
    if (found[name].length > 64 || !/^\d+(\.\d+)*$/.test(found[name])) throw new Refused(`its ${keyword} is not a valid UID`);
  }
  return found;
}

async function read(file) {
  const { walk, isWhole } = await opened(file);
  const values = {};
  for await (const element of walk) {
    if (element.tag > LAST && !isWhole) break;
    const name = WANTED[element.tag];
    if (name) values[name] = await walk.value(element);
  }
  // the class of a DICOMDIR stands in its meta information alone
  values.sopClass ??= await metaClass(file);
  return values;
}

async function metaClass(file) {
  const head = ascii(new Uint8Array(await file.slice(0, 512).arrayBuffer()));
  return new TextEncoder().encode(DIRECTORY.exec(head)?.[0] ?? "");
}

function texts(values) {
  const decoded = textsIn(ascii(values.characterSet ?? []));
  const found = {};
  for (const name of Object.values(WANTED)) found[name] = values[name] ? decoded(values[name]) : "";
  for (const name of Object.keys(UIDS)) found[name] = values[name] ? ascii(values[name]).replaceAll(/^[ \0]+|[ \0]+$/g, "") : "";
  found.patientName = found.patientName.split("=").map(personName).filter(Boolean).join(" = ");
  return found;
}
