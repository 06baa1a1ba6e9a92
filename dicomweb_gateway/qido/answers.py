"""What one match answers, as DICOM JSON (dicomweb.md 2.6)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from dicomweb_gateway.dicom.json_model import UTF8, JsonElement, JsonObject, element
from dicomweb_gateway.dicom.transfer_syntax import EXPLICIT_VR_LE, transfer_syntax
from dicomweb_gateway.qido.attributes import LEVELS, Level
from dicomweb_gateway.qido.expression import QidoQuery
from dicomweb_gateway.qido.included import included

STUDY_ATTRIBUTES = {
    "00080020": "DA",
    "00080030": "TM",
    "00080050": "SH",
    "00080090": "PN",
    "00081030": "LO",
    "00100010": "PN",
    "00100020": "LO",
    "00100030": "DA",
    "00100040": "CS",
    "00200010": "SH",
}
"""Always present in a study answer, empty when the study has no value (Q-44, Q-48)."""

SERIES_ATTRIBUTES = {
    "00080021": "DA",
    "00080031": "TM",
    "00080060": "CS",
    "0008103E": "LO",
    "00180015": "CS",
    "00200011": "IS",
}
"""Always present in a series answer (Q-45)."""

INSTANCE_ATTRIBUTES = {"00080016": "UI", "00200013": "IS"}
"""Always present in an instance answer (Q-46)."""

STUDY_IF_KNOWN = ("00080201",)
SERIES_IF_KNOWN = ("00080201", "00400244", "00400245", "00400275")
INSTANCE_IF_KNOWN = ("00080201", "00280008", "00280010", "00280011", "00280100")

RETRIEVE_URL = "00081190"
_CHARACTER_SET = "00080005"
_MODALITIES = "00080061"
_AVAILABLE_SYNTAXES = "00083002"
_ISO_IR_192 = element("CS", [UTF8])
_ANY_LEVEL = {_CHARACTER_SET: _ISO_IR_192, RETRIEVE_URL: element("UR", [])}
_ONLINE = {"00080056": element("CS", ["ONLINE"])}
_STUDY_HELD, _SERIES_HELD, _INSTANCE_HELD = (
    (*STUDY_ATTRIBUTES, *STUDY_IF_KNOWN),
    (*SERIES_ATTRIBUTES, *SERIES_IF_KNOWN),
    (*INSTANCE_ATTRIBUTES, *INSTANCE_IF_KNOWN),
)
_STUDY_COMPUTED = ("0020000D", "00201206", "00201208")
_SERIES_COMPUTED = ("0020000D", "0020000E", "00201209")
_INSTANCE_COMPUTED = (_AVAILABLE_SYNTAXES, "00080018", "0020000D", "0020000E")


@dataclass(slots=True)
class Found:
    """What an index holds of one match: the attributes of its level and, where asked for, of those above.

    Numbers are None where nobody counted. `stored_syntax` is that of an instance.
    """

    study_uid: str
    series_uid: str = ""
    instance_uid: str = ""
    study: JsonObject = field(default_factory=dict)
    series: JsonObject = field(default_factory=dict)
    instance: JsonObject = field(default_factory=dict)
    modalities: Collection[str] = ()
    series_of_study: int | None = None
    instances_of_study: int | None = None
    instances_of_series: int | None = None
    stored_syntax: str = EXPLICIT_VR_LE
    has_frames: bool = False


@dataclass(frozen=True, slots=True)
class _Blank:
    """What answers of one kind begin as: all they may hold, keys ascending, those of `optional` None."""

    elements: dict[str, Any]
    optional: tuple[str, ...]


def answer(query: QidoQuery, found: Found) -> JsonObject:
    """The answer for one match, keys ascending (Q-28 to Q-31, Q-44 to Q-50).

    RetrieveURL, which needs the address that clients use, is in its place without a value.
    """
    blank = _blank(query.level, query.shows_study, query.shows_series)
    answer = blank.elements.copy()
    if query.shows_study:
        _put_study(answer, found)
    if query.shows_series:
        _put_series(answer, found)
    if query.level == "instance":
        _put_instance(answer, found)
    for key in blank.optional:
        if answer[key] is None:
            del answer[key]
    if query.include or query.include_all:
        return _with_more(answer, _more(query, found))
    return answer


@lru_cache
def _blank(level: Level, shows_study: bool, shows_series: bool) -> _Blank:
    elements: dict[str, Any] = dict(_ANY_LEVEL)
    optional: dict[str, Any] = {}
    if shows_study:
        elements |= _ONLINE | _empty(STUDY_ATTRIBUTES) | dict.fromkeys(_STUDY_COMPUTED)
        optional |= dict.fromkeys((*STUDY_IF_KNOWN, _MODALITIES))
    if shows_series:
        elements |= _empty(SERIES_ATTRIBUTES) | dict.fromkeys(_SERIES_COMPUTED)
        optional |= dict.fromkeys(SERIES_IF_KNOWN)
    if level == "instance":
        elements |= _ONLINE | _empty(INSTANCE_ATTRIBUTES) | dict.fromkeys(_INSTANCE_COMPUTED)
        optional |= dict.fromkeys(INSTANCE_IF_KNOWN)
    return _Blank(dict(sorted((elements | optional).items())), tuple(optional))


def _empty(attributes: Mapping[str, str]) -> JsonObject:
    """The attributes without values; the elements are shared by all answers, as the constants are."""
    return {key: element(vr, []) for key, vr in attributes.items()}


def _put_study(answer: JsonObject, found: Found) -> None:
    """The attributes of Q-44.

    ModalitiesInStudy is left out when no series has a Modality: OHIF fails on it without Value and then
    shows no study at all (L-1), and an empty Value is no DICOM JSON (PS3.18 F.2.5).
    """
    _put(answer, found.study, _STUDY_HELD)
    if found.modalities:
        answer[_MODALITIES] = element("CS", sorted(set(found.modalities)))
    answer["0020000D"] = element("UI", [found.study_uid])
    answer["00201206"] = _count(found.series_of_study)
    answer["00201208"] = _count(found.instances_of_study)


def _put_series(answer: JsonObject, found: Found) -> None:
    """The attributes of Q-45."""
    _put(answer, found.series, _SERIES_HELD)
    answer["0020000D"] = element("UI", [found.study_uid])
    answer["0020000E"] = element("UI", [found.series_uid])
    answer["00201209"] = _count(found.instances_of_series)


def _put_instance(answer: JsonObject, found: Found) -> None:
    """The attributes of Q-46."""
    _put(answer, found.instance, _INSTANCE_HELD)
    answer[_AVAILABLE_SYNTAXES] = element("UI", available_syntaxes(found.stored_syntax, found.has_frames))
    answer["00080018"] = element("UI", [found.instance_uid])
    answer["0020000D"] = element("UI", [found.study_uid])
    answer["0020000E"] = element("UI", [found.series_uid])


def _put(answer: JsonObject, attributes: Mapping[str, JsonElement], keys: Sequence[str]) -> None:
    """Those of `keys` that `attributes` holds."""
    for key in keys:
        held = attributes.get(key)
        if held:
            answer[key] = held


def available_syntaxes(stored_syntax: str, has_frames: bool) -> list[str]:
    """The stored syntax first, and Explicit VR Little Endian where the pixels can become that (W-3)."""
    if not has_frames:
        return [EXPLICIT_VR_LE]
    row = transfer_syntax(stored_syntax)
    if row is None or row.family == "video":
        return [stored_syntax]
    return list(dict.fromkeys([stored_syntax, EXPLICIT_VR_LE]))


def _more(query: QidoQuery, found: Found) -> JsonObject:
    """What is asked for besides: that it belongs to a lower level shows in its absence there (Q-29).

    `includefield=all` adds all of the answered level only (Q-31).
    """
    levels = {"study": found.study, "series": found.series, "instance": found.instance}
    more: JsonObject = {}
    for level in LEVELS[: LEVELS.index(query.level) + 1] if query.include else ():
        more |= included(levels[level], query.include)
    return more | levels[query.level] if query.include_all else more


def _with_more(answer: JsonObject, more: JsonObject) -> JsonObject:
    """What the answer has by itself is never replaced, nor cut down to named members."""
    both = {**more, **answer, _CHARACTER_SET: more.get(_CHARACTER_SET, _ISO_IR_192)}
    return {key: both[key] for key in sorted(both)}


def _count(number: int | None) -> JsonElement:
    """As `element` makes it of a number that is none too large for JSON."""
    return {"vr": "IS"} if number is None else {"vr": "IS", "Value": [number]}
