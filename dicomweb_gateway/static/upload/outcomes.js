// What became of each instance: the Store Instances Response (PS3.18 10.5.3, annex I.2) in words.

const FAILED = "00081198";
const STORED = "00081199";
const OTHERS = "0008119A";
const INSTANCE = "00081155";
const REASON = "00081197";
const ATTRIBUTES = "00741048";
const COMMENT = "00000902";
const WORDS = [
  [/^0110$/, "HealthImaging could not store it"],
  [/^0124$/, "you are not allowed to store it"],
  [/^A7/, "it is larger than HealthImaging takes"],
  [/^A9/, "it does not match what it says of itself, or what is stored already"],
  [/^C122$/, "its transfer syntax is not known"],
  [/^C/, "it is not understood: not DICOM, cut off, or without valid UIDs"],
];

const items = (document, tag) => document?.[tag]?.Value ?? [];
const first = (item, tag) => item[tag]?.Value?.[0];

/** Whether `document` is such a response. */
export function isResponse(document) {
  return [FAILED, STORED, OTHERS].some((tag) => Array.isArray(document?.[tag]?.Value));
}

/** For each of the instance UIDs that were sent, in their order: "" stored, else the reason in words. */
export function outcomesOf(document, instances) {
  const stored = new Set(items(document, STORED).map((item) => first(item, INSTANCE)));
  const failed = new Map(items(document, FAILED).map((item) => [first(item, INSTANCE), inWords(item)]));
  const others = items(document, OTHERS).map(inWords);
  return instances.map((instance) => {
    if (failed.has(instance)) return failed.get(instance);
    return stored.has(instance) ? "" : (others.shift() ?? "the gateway says nothing of it");
  });
}

function inWords(item) {
  const code = (first(item, REASON) ?? 0x0110).toString(16).toUpperCase().padStart(4, "0");
  const told = first(first(item, ATTRIBUTES) ?? {}, COMMENT);
  return `${told || (WORDS.find(([pattern]) => pattern.test(code))?.[1] ?? "it was not stored")} (${code})`;
}
