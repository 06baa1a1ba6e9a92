"""The DICOM conformance statement as a page, written out of the capabilities document (S-2; PS3.2)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

_STYLE = "body{font:15px/1.5 sans-serif;max-width:70em;margin:2em auto;padding:0 1em}"
_STYLE += "table{border-collapse:collapse}td,th{border:1px solid #999;padding:.2em .6em;text-align:left}"

_OVERVIEW = (
    "The gateway is an origin server of the DICOMweb Studies Service: it searches (QIDO-RS) and retrieves "
    "(WADO-RS) what is stored in AWS HealthImaging. It opens no DIMSE association."
)
_RETRIEVAL = (
    "Frames and instances go out as they are stored without being decoded, by default decoded to Explicit VR "
    "Little Endian where the stored coding is lossless, and on request in the syntaxes marked so. Lossless "
    "ones hold exactly the stored samples. A single byte range is answered on every resource of known "
    "length, also of multipart bodies."
)
_TEXT = "Text is sent as UTF-8 whatever it was stored in, and labelled ISO_IR 192."


def conformance_page(document: Mapping[str, Any]) -> str:
    """HTML of the statement; `document` is what `capabilities.capabilities` gives."""
    sections = (
        ("Overview", [_paragraph(_OVERVIEW)]),
        ("Resources", [_resources(document["resources"])]),
        ("Transfer syntaxes", [_paragraph(_RETRIEVAL), _syntaxes(document["transferSyntaxes"])]),
        *((f"Search keys: {level}", [_keys(keys)]) for level, keys in document["search"].items()),
        ("Character sets", [_paragraph(_TEXT)]),
        ("Limits", [_table(("limit", "value"), _limit_rows(document["limits"]))]),
        ("Errors", [_table(("status", "reason"), ((e["status"], e["reason"]) for e in document["errors"]))]),
    )
    body = Markup("").join(
        Markup("<h2>{}</h2>{}").format(title, Markup("").join(parts)) for title, parts in sections
    )
    head = Markup("<title>{0} {1}: DICOM conformance</title><style>{2}</style><h1>{0} {1}</h1>").format(
        document["product"], document["version"], _STYLE
    )
    return f"<!doctype html><html lang=en><meta charset=utf-8>{head}{body}"


def _resources(rows: Iterable[Mapping[str, Any]]) -> Markup:
    cells = (
        (
            row["path"],
            ", ".join(row["methods"]),
            row["answer"],
            ", ".join(row["mediaTypes"]),
            ", ".join(row["parameters"]),
        )
        for row in rows
    )
    return _table(("path", "methods", "answer", "media types", "parameters"), cells)


def _syntaxes(rows: Iterable[Mapping[str, Any]]) -> Markup:
    cells = (
        (
            row["uid"],
            row["name"],
            row["mediaType"],
            _yes(row["lossless"]),
            _yes(row["decoded"]),
            ", ".join(map(str, row["bitsAllocated"])),
        )
        for row in rows
    )
    return _table(
        ("UID", "name", "frame type", "lossless", "decoded", "on request, of Bits Allocated"), cells
    )


def _keys(rows: Iterable[Mapping[str, Any]]) -> Markup:
    cells = ((row["tag"], row["keyword"], row["vr"], row["matching"]) for row in rows)
    return _table(("tag", "keyword", "VR", "matching"), cells)


def _limit_rows(limits: Mapping[str, int | None]) -> Iterable[tuple[str, str]]:
    return ((name, "none" if value is None else str(value)) for name, value in limits.items())


def _paragraph(text: str) -> Markup:
    return Markup("<p>{}</p>").format(text)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Markup:
    top = Markup("").join(Markup("<th>{}</th>").format(name) for name in head)
    body = Markup("").join(
        Markup("<tr>{}</tr>").format(Markup("").join(Markup("<td>{}</td>").format(cell) for cell in row))
        for row in rows
    )
    return Markup("<table><tr>{}</tr>{}</table>").format(top, body)


def _yes(value: bool) -> Markup:
    return escape("yes" if value else "no")
