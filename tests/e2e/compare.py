"""Holds what a gateway serves against what pydicom reads from the same file.

What may differ, because HealthImaging or DICOM JSON make it so, stands in `EXCEPTIONS` and nowhere else.
"""

import base64
import hashlib
import io
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.dataelem import DataElement
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

EXCEPTIONS = {
    "group 0002 and group lengths": "never part of DICOM JSON (J-2)",
    "00080005": "always ISO_IR 192, the text is Unicode (J-28)",
    "00083002": "added: the stored transfer syntax (J-3)",
    "pixel data": "by BulkDataURI (J-5)",
    "00280004, 00280006": "describe the stored frames: RGB for YBR_RCT and ICT, YBR_FULL for native "
    "YBR_FULL_422, colour by pixel (healthimaging.md 3.4)",
    "series attributes": "an attribute of HealthImaging's patient, study or series level (2.2) that another "
    "file of the same series gives is answered for all of its instances",
    "DICOMVRs": "one flat map per instance: a private tag with different VRs in different items comes as UN "
    "with the same bytes, or as the other integer VR with the same numbers (2.1)",
    "big endian": "words of OW values are served little endian, as they are sent (PS3.5 A.2); pydicom leaves "
    "them as they lie in the file",
    "OB or OW": "pydicom leaves retired curve data undecided in implicit VR; served as OW (J-26)",
}

PIXELS = {0x7FE00008, 0x7FE00009, 0x7FE00010}
DESCRIBES_FRAMES = {"00280004", "00280006"}
BINARY = {"OB", "OW", "OF", "OD", "OL", "OV", "UN", "OB or OW"}
NUMERIC = {"DS", "IS", "FL", "FD", "US", "SS", "UL", "SL"}
PRIVATE_INTEGERS = ({"UL", "SL"}, {"US", "SS"})
KEEPS_LEADING = {"LT", "ST", "UT"}

Fetch = Callable[[str], bytes]
"""Bytes behind a BulkDataURI."""


@dataclass
class Comparison:
    """Collects differences as readable lines; `shared` are tags that files of the same series give."""

    fetch: Fetch
    shared: set[str]
    big_endian: bool = False

    def differences(self, dataset: Dataset, served: dict[str, Any], path: str = "") -> Iterator[str]:
        known = set()
        for expected in dataset:
            tag = f"{int(expected.tag):08X}"
            known.add(tag)
            if tag.startswith("0002") or tag.endswith("0000") or (not path and expected.tag in PIXELS):
                continue
            if tag not in served:
                yield f"{path}{tag} {expected.VR} is missing"
            elif expected.VR == "SQ":
                yield from self._items(expected, served[tag], f"{path}{tag}")
            elif (reason := self._element(tag, expected, served[tag])) is not None:
                yield f"{path}{tag} {expected.VR}: {reason}"
        surplus = set(served) - known - {"00080005", "00083002", "7FE00008", "7FE00009", "7FE00010"}
        if surplus - self.shared:
            yield f"{path}: not in the file: {sorted(surplus - self.shared)}"

    def _items(self, expected: DataElement, served: dict[str, Any], path: str) -> Iterator[str]:
        items = served.get("Value", [])
        if served["vr"] != "SQ" or len(items) != len(expected.value):
            yield f"{path} SQ of {len(expected.value)} items came as {served['vr']} of {len(items)}"
            return
        for number, (item, found) in enumerate(zip(expected.value, items, strict=True), 1):
            yield from self.differences(item, found, f"{path}/{number}/")

    def _element(self, tag: str, expected: DataElement, served: dict[str, Any]) -> str | None:
        if tag == "00080005":
            return None if served.get("Value") == ["ISO_IR 192"] else f"served {served}"
        if tag in DESCRIBES_FRAMES:
            return None
        vr, private = served["vr"], bool(int(tag[3], 16) % 2)
        if expected.VR in BINARY or (private and vr == "UN"):
            want, got = encoded(expected, self.big_endian), self._binary(served)
            return None if got in (want, want[: len(got)]) and len(want) - len(got) < 2 else "other bytes"
        if vr != expected.VR and not (private and {vr, expected.VR} in PRIVATE_INTEGERS):
            return f"came as {vr}"
        want, got = values(expected), served.get("Value", [])
        if expected.VR in NUMERIC:
            return None if same_numbers(want, got) else f"{want[:3]} came as {got[:3]}"
        return None if want == got else f"{want[:3]} came as {got[:3]}"

    def _binary(self, served: dict[str, Any]) -> bytes:
        if "BulkDataURI" in served:
            return self.fetch(served["BulkDataURI"])
        return base64.b64decode(served.get("InlineBinary", ""), validate=True)


def encoded(element: DataElement, big_endian: bool = False) -> bytes:
    """The value's bytes in little endian; `big_endian` says how the file's words lie."""
    if element.VR in BINARY:
        value = element.value or b""
        value = b"".join(value) if isinstance(value, list) else value
        return (
            np.frombuffer(value, ">u2").astype("<u2").tobytes()
            if big_endian and element.VR == "OW"
            else value
        )
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, True
    write_dataset(buffer, Dataset({element.tag: element}), "utf8")
    return buffer.getvalue()[8:]


def values(element: DataElement) -> list[Any]:
    """The element's values as DICOM JSON has them, numbers as float."""
    value = element.value
    if value is None or value == "":
        return []
    several = value if not isinstance(value, str | bytes | int | float) and element.VM > 1 else [value]
    found = [_value(element.VR, member) for member in several]
    return [] if found == [None] else found


def _value(vr: str, value: Any) -> Any:
    if vr == "PN":
        groups = [group.strip(" \0") for group in str(value).split("=")]
        names = zip(("Alphabetic", "Ideographic", "Phonetic"), groups, strict=False)
        return {name: group for name, group in names if group} or None
    if vr in NUMERIC:
        try:
            return None if value in ("", None) else float(value)
        except ValueError:
            return str(value)
    if vr == "AT":
        return f"{int(value):08X}"
    text = str(value)
    return (text.rstrip(" \0") if vr in KEEPS_LEADING else text.strip(" \0")) or None


def same_numbers(want: list[Any], got: list[Any]) -> bool:
    return len(want) == len(got) and all(map(_same_number, want, got))


def _same_number(want: Any, got: Any) -> bool:
    if isinstance(want, float) and math.isnan(want):
        return got is None
    if isinstance(want, float) and isinstance(got, int | float):
        return math.isclose(want, got, rel_tol=1e-15)
    return bool(want == got)


def part10_differences(dataset: Dataset, served: Dataset, big_endian: bool = False) -> Iterator[str]:
    """Attributes of `dataset` that `served`, read from the gateway, does not hold equally."""
    for expected in dataset:
        tag = expected.tag
        if tag.group == 2 or tag.element == 0 or tag in PIXELS or tag == 0x00080005:
            continue
        if f"{int(tag):08X}" in DESCRIBES_FRAMES:
            continue
        if tag not in served:
            yield f"{tag} is missing"
        elif expected.VR == "SQ" and served[tag].VR == "SQ":
            pairs = zip(expected.value, served[tag].value, strict=True)
            for number, (item, found) in enumerate(pairs, 1):
                yield from (f"{tag}/{number}/{line}" for line in part10_differences(item, found, big_endian))
        elif expected.VR in BINARY or served[tag].VR == "UN":
            want, got = encoded(expected, big_endian), encoded(served[tag])
            if got.rstrip(b"\0 ") != want.rstrip(b"\0 "):
                yield f"{tag}: other bytes"
        elif values(expected) != values(served[tag]) and not same_numbers(
            values(expected), values(served[tag])
        ):
            yield f"{tag}: {str(expected.value)[:60]} came as {str(served[tag].value)[:60]}"


def samples_sha256(frame: bytes, shape: list[int], bits_allocated: int) -> str:
    """The hash of EXPECTED.json for one ELE frame; packed bits are unpacked to a byte a pixel."""
    if bits_allocated == 1:
        bits = np.unpackbits(np.frombuffer(frame, np.uint8), bitorder="little")
        frame = bits[: math.prod(shape)].tobytes()
    return hashlib.sha256(frame).hexdigest()


def read_part10(body: bytes) -> Dataset:
    return dcmread(io.BytesIO(body))


def only_part(body: bytes) -> bytes:
    """The payload of a multipart body that has one part."""
    return body.split(b"\r\n\r\n", 1)[1].rsplit(b"\r\n--", 1)[0]


def load_json(path: Path) -> Any:
    return json.loads(path.read_text())
