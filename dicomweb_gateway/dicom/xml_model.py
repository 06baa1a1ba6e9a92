"""The Native DICOM Model (PS3.19 annex A.1) of a dataset in the DICOM JSON model."""

import re
from collections.abc import Callable, Iterator
from html import escape
from typing import Any

from dicomweb_gateway.dicom.dictionary import attribute_of_tag, is_private, tag_text
from dicomweb_gateway.dicom.json_model import JsonElement, JsonObject

NAMESPACE = "http://dicom.nema.org/PS3.19/models/NativeDICOM"

_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_COMPONENTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def native_model(dataset: JsonObject) -> bytes:
    """`dataset` as one XML document in UTF-8.

    Values keep their positions, an absent one among others being an empty `Value`. Characters that XML 1.0
    cannot carry are left out.
    """
    body = "".join(_attributes(dataset))
    root = f'<NativeDicomModel xmlns="{NAMESPACE}" xml:space="preserve">{body}</NativeDicomModel>'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{root}\n'.encode()


def _attributes(dataset: JsonObject) -> Iterator[str]:
    for key, element in dataset.items():
        tag = int(key, 16)
        names = {"tag": key, "vr": element["vr"]}
        row = attribute_of_tag(tag)
        if row is not None and row.keyword:
            names["keyword"] = row.keyword
        creator = _creator(dataset, tag)
        if creator is not None:
            names["privateCreator"] = creator
        head = "".join(f' {name}="{_text(value)}"' for name, value in names.items())
        yield f"<DicomAttribute{head}>{_content(element)}</DicomAttribute>"


def _creator(dataset: JsonObject, tag: int) -> str | None:
    """The private creator of a private element, None for other elements and where the dataset lacks it."""
    block = (tag & 0xFFFF) >> 8
    if not is_private(tag) or block < 0x10:
        return None
    values = dataset.get(tag_text((tag & 0xFFFF0000) | block), {}).get("Value") or [None]
    return None if values[0] is None else str(values[0])


def _content(element: JsonElement) -> str:
    if "BulkDataURI" in element:
        return f'<BulkData uri="{_text(element["BulkDataURI"])}"/>'
    if "InlineBinary" in element:
        return f"<InlineBinary>{_text(element['InlineBinary'])}</InlineBinary>"
    make = _MAKERS.get(element["vr"], _value)
    return "".join(make(number, value) for number, value in enumerate(element.get("Value", ()), 1))


def _value(number: int, value: Any) -> str:
    return f'<Value number="{number}">{"" if value is None else _text(value)}</Value>'


def _item(number: int, item: JsonObject | None) -> str:
    return f'<Item number="{number}">{"".join(_attributes(item or {}))}</Item>'


def _person_name(number: int, name: dict[str, str] | None) -> str:
    groups = ((group, (name or {}).get(group)) for group in _GROUPS)
    inner = "".join(f"<{group}>{_components(text)}</{group}>" for group, text in groups if text)
    return f'<PersonName number="{number}">{inner}</PersonName>'


_MAKERS: dict[str, Callable[[int, Any], str]] = {"SQ": _item, "PN": _person_name}


def _components(text: str) -> str:
    # A sixth component does not exist; what stands there belongs to no element and stays with the suffix.
    parts = zip(_COMPONENTS, text.split("^", len(_COMPONENTS) - 1), strict=False)
    return "".join(f"<{name}>{_text(part)}</{name}>" for name, part in parts if part)


def _text(value: Any) -> str:
    return escape(_NOT_IN_XML.sub("", str(value))).replace("\r", "&#13;")
