"""What one match answers, as DICOM JSON (dicomweb.md 2.6)."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dicomweb_gateway.dicom.json_model import UTF8, JsonElement, JsonObject, element
from dicomweb_gateway.dicom.transfer_syntax import EXPLICIT_VR_LE, transfer_syntax
from dicomweb_gateway.qido.expression import QidoQuery
from dicomweb_gateway.qido.included import Path, included

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

_STUDY_EMPTY, _SERIES_EMPTY, _INSTANCE_EMPTY = (
    {key: element(vr, []) for key, vr in vrs.items()}
    for vrs in (STUDY_ATTRIBUTES, SERIES_ATTRIBUTES, INSTANCE_ATTRIBUTES)
)
"""The same without values; the elements are shared by all answers, as are the constants below."""

STUDY_IF_KNOWN = ("00080201",)
SERIES_IF_KNOWN = ("00080201", "00400244", "00400245", "00400275")
INSTANCE_IF_KNOWN = ("00080201", "00280008", "00280010", "00280011", "00280100")

_CHARACTER_SET = "00080005"
_AVAILABILITY = "00080056"
_AVAILABLE_SYNTAXES = "00083002"
_ONLINE = element("CS", ["ONLINE"])
_ISO_IR_192 = element("CS", [UTF8])


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


def answer(query: QidoQuery, found: Found) -> JsonObject:
    """The answer for one match, keys ascending (Q-28 to Q-31, Q-44 to Q-50)."""
    parts: list[JsonObject] = []
    if query.shows_study:
        numbers = found.series_of_study, found.instances_of_study
        parts.append(study_part(found.study, found.study_uid, found.modalities, *numbers))
    if query.shows_series:
        uids = found.study_uid, found.series_uid
        parts.append(series_part(found.series, *uids, found.instances_of_series))
    if query.level == "instance":
        path = found.study_uid, found.series_uid, found.instance_uid
        parts.append(instance_part(found.instance, path, found.stored_syntax, found.has_frames))
    levels = [found.study]
    if query.level != "study":
        levels.append(found.series)
    if query.level == "instance":
        levels.append(found.instance)
    return finished(parts, levels, query.include, query.include_all)


def study_part(
    attributes: Mapping[str, JsonElement],
    uid: str,
    modalities: Iterable[str],
    series: int | None,
    instances: int | None,
) -> JsonObject:
    """The attributes of Q-44; `series` and `instances` are the numbers of related ones, None if unknown.

    ModalitiesInStudy is left out when no series has a Modality: OHIF fails on it without Value and then
    shows no study at all (L-1), and an empty Value is no DICOM JSON (PS3.18 F.2.5).
    """
    part = _part(attributes, _STUDY_EMPTY, STUDY_IF_KNOWN)
    part[_AVAILABILITY] = _ONLINE
    known = sorted(set(modalities))
    if known:
        part["00080061"] = element("CS", known)
    part["0020000D"] = element("UI", [uid])
    part["00201206"] = _count(series)
    part["00201208"] = _count(instances)
    return part


def series_part(
    attributes: Mapping[str, JsonElement], study_uid: str, uid: str, instances: int | None
) -> JsonObject:
    """The attributes of Q-45."""
    part = _part(attributes, _SERIES_EMPTY, SERIES_IF_KNOWN)
    part["0020000D"] = element("UI", [study_uid])
    part["0020000E"] = element("UI", [uid])
    part["00201209"] = _count(instances)
    return part


def instance_part(
    attributes: Mapping[str, JsonElement], uids: tuple[str, str, str], stored_syntax: str, has_frames: bool
) -> JsonObject:
    """The attributes of Q-46; `uids` are those of study, series and instance."""
    study_uid, series_uid, uid = uids
    part = _part(attributes, _INSTANCE_EMPTY, INSTANCE_IF_KNOWN)
    part[_AVAILABILITY] = _ONLINE
    part[_AVAILABLE_SYNTAXES] = element("UI", available_syntaxes(stored_syntax, has_frames))
    part["00080018"] = element("UI", [uid])
    part["0020000D"] = element("UI", [study_uid])
    part["0020000E"] = element("UI", [series_uid])
    return part


def available_syntaxes(stored_syntax: str, has_frames: bool) -> list[str]:
    """The stored syntax first, and Explicit VR Little Endian where the pixels can become that (W-3)."""
    if not has_frames:
        return [EXPLICIT_VR_LE]
    row = transfer_syntax(stored_syntax)
    if row is None or row.family == "video":
        return [stored_syntax]
    return list(dict.fromkeys([stored_syntax, EXPLICIT_VR_LE]))


def finished(
    parts: Sequence[JsonObject],
    levels: Sequence[Mapping[str, JsonElement]],
    include: tuple[Path, ...],
    include_all: bool,
) -> JsonObject:
    """One answer object, keys ascending.

    `levels`: the attributes held for the answered level and those above it, the answered level last; that
    an included attribute belongs to a lower level shows in its absence there (Q-29). `include_all` adds all
    of the answered level (Q-31). What the parts say is never replaced, nor cut down to named members.
    """
    answer: JsonObject = {_CHARACTER_SET: _ISO_IR_192}
    if include:
        for attributes in levels:
            answer |= included(attributes, include)
    if include_all:
        answer |= levels[-1]
    for part in parts:
        answer |= part
    return {key: answer[key] for key in sorted(answer)}


def _count(number: int | None) -> JsonElement:
    """As `element` makes it of a number that is none too large for JSON."""
    return {"vr": "IS"} if number is None else {"vr": "IS", "Value": [number]}


def _part(
    attributes: Mapping[str, JsonElement], empty: Mapping[str, JsonElement], if_known: Sequence[str]
) -> JsonObject:
    """Those of `attributes` that a part has always, else without value, and those that it has where known."""
    part = {key: attributes.get(key) or without for key, without in empty.items()}
    for key in if_known:
        if key in attributes:
            part[key] = attributes[key]
    return part
