// Texts in the character set that a data set names (PS3.3 C.12.1.1.2).

const LABELS = {
  "ISO_IR 13": "shift_jis",
  "ISO_IR 100": "iso-8859-1",
  "ISO_IR 101": "iso-8859-2",
  "ISO_IR 109": "iso-8859-3",
  "ISO_IR 110": "iso-8859-4",
  "ISO_IR 126": "iso-8859-7",
  "ISO_IR 127": "iso-8859-6",
  "ISO_IR 138": "iso-8859-8",
  "ISO_IR 144": "iso-8859-5",
  "ISO_IR 148": "iso-8859-9",
  "ISO_IR 166": "windows-874",
  "ISO_IR 192": "utf-8",
  "ISO_IR 203": "iso-8859-15",
  "ISO 2022 IR 58": "gb18030",
  "ISO 2022 IR 87": "iso-2022-jp",
  "ISO 2022 IR 149": "euc-kr",
  "ISO 2022 IR 159": "iso-2022-jp",
  GB18030: "gb18030",
  GBK: "gbk",
};
const WITH_ESCAPES = "iso-2022-jp";

/** What turns bytes into text, for the value of SpecificCharacterSet. */
export function textsIn(characterSet) {
  const names = characterSet.split("\\").map((name) => name.trim()).filter(Boolean);
  // of several the one that says more than letters of Latin
  const name = names.findLast((one) => LABELS[one]) ?? names.at(-1)?.replace("ISO 2022 IR", "ISO_IR");
  const label = LABELS[name] ?? "iso-8859-1";
  const decoder = new TextDecoder(label);
  return (bytes) => {
    const text = decoder.decode(bytes);
    // designations of sets, which the other decoders do not know
    return (label === WITH_ESCAPES ? text : text.replaceAll(/\x1b[$()\-.,][)\-]?[A-Z0-9]/g, "")).replaceAll(/^[ \0]+|[ \0]+$/g, "");
  };
}
