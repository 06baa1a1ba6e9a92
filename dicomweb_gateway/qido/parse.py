"""A query string's pairs as one frozen QidoQuery (dicomweb.md 2.1 to 2.5)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo

from dicomweb_gateway.dicom.dictionary import tag_of_key
from dicomweb_gateway.errors import InvalidRequest
from dicomweb_gateway.qido.attributes import (
    ATTRIBUTES,
    SPECIFIC_CHARACTER_SET,
    Level,
    Matching,
    usable_at,
)
from dicomweb_gateway.qido.expression import Condition, OrderKey, QidoQuery
from dicomweb_gateway.qido.included import Path
from dicomweb_gateway.qido.keys import KeyCondition, attribute_of_path, sorted_out
from dicomweb_gateway.qido.values import MatchingOptions, make_condition

DEFAULT_MAX_RESULTS = 5000
"""Rows of one answer when no setting says otherwise (Q-34)."""

NEVER_KEYS = frozenset({"accept", "charset"})
"""Parameters of content negotiation (C-9)."""

_SWITCHES = ("fuzzymatching", "emptyvaluematching", "multiplevaluematching")
_CONTROLS = frozenset({"includefield", "limit", "offset", "orderby", "totalcount", *_SWITCHES})
_LARGEST_NUMBER = 2**62
_UNSIGNED = re.compile(r"[0-9]{1,100}", re.ASCII)
_UNPRINTABLE = re.compile(r"[^0-9A-Za-z_.\- ]")


@dataclass
class _Collected:
    """The pairs sorted into what they are."""

    keys: dict[tuple[int, ...], list[str]] = field(default_factory=dict)
    names: dict[tuple[int, ...], str] = field(default_factory=dict)
    controls: dict[str, list[str]] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)


def parse_query(
    level: Level,
    args: Sequence[tuple[str, str]],
    *,
    study_uid: str | None = None,
    series_uid: str | None = None,
    max_results: int = DEFAULT_MAX_RESULTS,
    hard_max_results: int | None = None,
    strict: bool = False,
    zone: tzinfo = UTC,
    phonetic: bool = False,
) -> QidoQuery:
    """The search that a route of `level` was asked for.

    `args`: the decoded pairs in their order. `study_uid`, `series_uid`: the UIDs of the path, valid ones.
    `strict`: names that are no DICOM key are refused instead of ignored with a warning (Q-4). `zone`:
    that of moments without an offset (Q-20). `phonetic`: fuzzy matching goes by sounds too (Q-27). Raises
    InvalidRequest that names the parameter.
    """
    found = _collect(args)
    if strict and found.unknown:
        raise InvalidRequest(f"{_printable(found.unknown[0])} is neither a DICOM attribute nor a parameter")
    include, include_all = _include(found.controls.get("includefield", []))
    asked = [path[:1] for path in found.keys]
    fuzzy, empty, multiple = (_flag(found.controls, name) for name in _SWITCHES)
    options = MatchingOptions(fuzzy, empty, multiple, zone, phonetic)
    conditions, stored = _conditions(level, found, options)
    return QidoQuery(
        level=level,
        study_uid=study_uid,
        series_uid=series_uid,
        conditions=conditions,
        stored=stored,
        include=tuple(dict.fromkeys([*asked, *include])),
        include_all=include_all,
        limit=_number(found.controls, "limit"),
        offset=_number(found.controls, "offset") or 0,
        max_results=max_results,
        hard_max_results=hard_max_results,
        order=_order(level, found.controls.get("orderby", [])),
        total_count=_flag(found.controls, "totalcount"),
        zone=zone,
        warnings=_warnings(found),
    )


def _collect(args: Sequence[tuple[str, str]]) -> _Collected:
    found = _Collected()
    for name, value in args:
        lower = name.lower()
        if not name or lower in NEVER_KEYS:
            continue
        if lower in _CONTROLS:
            found.controls.setdefault(lower, []).append(value)
            continue
        path = _path(name)
        if path is None:
            found.unknown.append(name)
        else:
            found.keys.setdefault(path, []).append(value)
            found.names.setdefault(path, name)
    return found


def _path(name: str) -> tuple[int, ...] | None:
    """The tags of a dotted key (Q-1), None when a part of it is no DICOM key."""
    tags = [tag_of_key(part) for part in name.split(".")]
    known = tuple(tag for tag in tags if tag is not None)
    return known if len(known) == len(tags) else None


_UNIVERSAL = ("", "*")


def _conditions(
    level: Level, found: _Collected, options: MatchingOptions
) -> tuple[tuple[Condition, ...], tuple[Condition, ...]]:
    """What columns can judge, and what is matched over DICOM JSON."""
    made: list[KeyCondition] = []
    for path, values in found.keys.items():
        name = found.names[path]
        if path[0] != SPECIFIC_CHARACTER_SET and all(value.strip(" ") in _UNIVERSAL for value in values):
            # nothing to match, so nothing that could go unmatched: only asks for the attribute
            continue
        attribute = attribute_of_path(level, path, name)
        condition = make_condition(attribute, values, name, options)
        if condition is not None:
            made.append(KeyCondition(path, attribute, condition))
    return sorted_out(made)


def _include(values: list[str]) -> tuple[list[Path], bool]:
    """The paths of all known `includefield` members, and whether `all` is one (Q-28)."""
    members = [member.strip(" ") for value in values for member in value.split(",")]
    paths = [_path(member) for member in members if member]
    return [path for path in paths if path], any(member.lower() == "all" for member in members)


def _order(level: Level, values: list[str]) -> tuple[OrderKey, ...]:
    """Each attribute once: where it comes again all that it could tell apart is told apart."""
    keys: dict[int, OrderKey] = {}
    for member in (member.strip(" ") for value in values for member in value.split(",")):
        if not member:
            continue
        tag = tag_of_key(member.removeprefix("-"))
        attribute = None if tag is None else ATTRIBUTES.get(tag)
        if attribute is None or not usable_at(attribute, level) or attribute.matching is Matching.MODALITIES:
            raise InvalidRequest(f"orderby: cannot sort by {_printable(member)} at {level} level")
        keys.setdefault(attribute.tag, OrderKey(attribute, member.startswith("-")))
    return tuple(keys.values())


def _number(controls: dict[str, list[str]], name: str) -> int | None:
    values = set(controls.get(name, ()))
    if not values:
        return None
    value = values.pop()
    if values or not _UNSIGNED.fullmatch(value):
        raise InvalidRequest(f"{name}: not one unsigned integer")
    return min(int(value), _LARGEST_NUMBER)


def _flag(controls: dict[str, list[str]], name: str) -> bool:
    values = controls.get(name, [])
    if any(value not in ("true", "false") for value in values):
        raise InvalidRequest(f"{name}: neither true nor false")
    return "true" in values


def _warnings(found: _Collected) -> tuple[str, ...]:
    names = dict.fromkeys(_printable(name) for name in found.unknown)
    return tuple(f"The parameter {name} is no DICOM attribute and was ignored." for name in names)


def _printable(name: str) -> str:
    """`name` as it may stand in a header or message."""
    return _UNPRINTABLE.sub("?", name)[:64]
