"""The manifest and the logs of an import job, read leniently (healthimaging.md 4.1)."""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from dicomweb_gateway.errors import ImportTrouble

MANIFEST = "job-output-manifest.json"
_WORDS = {"True": "true", "False": "false", "None": "null"}
_WORD = re.compile(r"(?<=[:\[,\s])(True|False|None)(?=\s*[,}\]])")

Read = Callable[[str], bytes | None]
"""Gives a file of the output by its name, None when there is none."""


@dataclass(frozen=True, slots=True)
class JobLogs:
    """What a job says of itself; files by the last part of the name that it was given.

    `image_sets` are (id, version or None), `unchanged` how many files it says to have left as they were, and
    `unreadable` how many lines of its logs are nonsense.
    """

    image_sets: tuple[tuple[str, str | None], ...] = ()
    imported: frozenset[str] = frozenset()
    failures: dict[str, str] = field(default_factory=dict)
    warnings: dict[str, str] = field(default_factory=dict)
    unchanged: int = 0
    unreadable: int = 0


def read_logs(read: Read, *, required: bool = True) -> JobLogs:
    """Manifest and logs; ImportTrouble where there is no manifest, which a COMPLETED job must leave.

    Lines may be JSON or, as in HealthImaging's own documentation, a Python literal; others are counted.
    """
    manifest = read(MANIFEST)
    if manifest is None and required:
        raise ImportTrouble(f"the import job has left no {MANIFEST}")
    summary = _summary(manifest)
    nonsense: list[bytes] = []
    success = list(_lines(read("SUCCESS/success.ndjson"), nonsense))
    failure = list(_lines(read("FAILURE/failure.ndjson"), nonsense))
    warning = list(_lines(read("WARNING/warning.ndjson"), nonsense))
    sets = dict(_image_sets(summary))
    for line in (*success, *warning):
        found = _response(line).get("imageSetId")
        if isinstance(found, str):
            sets.setdefault(found, None)
    return JobLogs(
        image_sets=tuple(sets.items()),
        imported=frozenset(map(_name, success)),
        failures={_name(line): _reason(line) for line in failure},
        warnings={_name(line): _warning(line) for line in warning},
        unchanged=_number(summary.get("numberOfUnchangedFiles")),
        unreadable=len(nonsense),
    )


def _summary(manifest: bytes | None) -> dict[str, Any]:
    found = _parsed(manifest or b"{}")
    inner = found.get("jobSummary") if found is not None else None
    if manifest is not None and not isinstance(inner, dict):
        raise ImportTrouble(f"the import job's {MANIFEST} is not of its form")
    return inner or {}


def _image_sets(summary: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    for row in _rows(summary.get("imageSetsSummary")):
        if isinstance(row, dict) and isinstance(row.get("imageSetId"), str):
            version = row.get("imageSetVersion")
            yield row["imageSetId"], None if version is None else str(version)


def _lines(log: bytes | None, nonsense: list[bytes]) -> Iterator[dict[str, Any]]:
    for line in (log or b"").splitlines():
        if not line.strip():
            continue
        found = _parsed(line)
        if found is None or not isinstance(found.get("inputFile"), str):
            nonsense.append(line)
        else:
            yield found


def _parsed(text: bytes) -> dict[str, Any] | None:
    """An object in JSON, in JSON with Python's words, or as a Python literal; None for none of them."""
    written = text.decode("utf-8-sig", "replace").strip()
    for read, form in (
        (orjson.loads, written),
        (orjson.loads, _WORD.sub(lambda found: _WORDS[found[1]], written)),
        (ast.literal_eval, written),
    ):
        try:
            found = read(form)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        return found if isinstance(found, dict) else None
    return None


def _name(line: dict[str, Any]) -> str:
    return str(line["inputFile"]).rpartition("/")[2]


def _reason(line: dict[str, Any]) -> str:
    told = line.get("exception")
    if not isinstance(told, dict):
        return "HealthImaging gives no reason"
    kind, message = told.get("exceptionType"), told.get("message")
    return ": ".join(str(one) for one in (kind, message) if one) or "HealthImaging gives no reason"


def _warning(line: dict[str, Any]) -> str:
    rows = _rows(_response(line).get("warnings"))
    told = [str(row.get("message") or row.get("type")) for row in rows if isinstance(row, dict)]
    return "; ".join(told) or "a warning without text"


def _response(line: dict[str, Any]) -> dict[str, Any]:
    told = line.get("importResponse")
    return told if isinstance(told, dict) else {}


def _rows(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0
