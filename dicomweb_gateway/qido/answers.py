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
    known = sorted(set(modalities))
    return {
        **_required(attributes, STUDY_ATTRIBUTES),
        **_known(attributes, STUDY_IF_KNOWN),
        _AVAILABILITY: _ONLINE,
        **({"00080061": element("CS", known)} if known else {}),
        "0020000D": element("UI", [uid]),
        "00201206": _count(series),
        "00201208": _count(instances),
    }


def series_part(
    attributes: Mapping[str, JsonElement], study_uid: str, uid: str, instances: int | None
) -> JsonObject:
    """The attributes of Q-45."""
    return {
        **_required(attributes, SERIES_ATTRIBUTES),
        **_known(attributes, SERIES_IF_KNOWN),
        "0020000D": element("UI", [study_uid]),
        "0020000E": element("UI", [uid]),
        "00201209": _count(instances),
    }


def instance_part(
    attributes: Mapping[str, JsonElement], uids: tuple[str, str, str], stored_syntax: str, has_frames: bool
) -> JsonObject:
    """The attributes of Q-46; `uids` are those of study, series and instance."""
    study_uid, series_uid, uid = uids
    return {
        **_required(attributes, INSTANCE_ATTRIBUTES),
        **_known(attributes, INSTANCE_IF_KNOWN),
        _AVAILABILITY: _ONLINE,
        _AVAILABLE_SYNTAXES: element("UI", available_syntaxes(stored_syntax, has_frames)),
        "00080018": element("UI", [uid]),
        "0020000D": element("UI", [study_uid]),
        "0020000E": element("UI", [series_uid]),
    }


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
    for attributes in levels:
        answer |= included(attributes, include)
    if include_all:
        answer |= levels[-1]
    for part in parts:
        answer |= part
    return dict(sorted(answer.items()))


def _count(number: int | None) -> JsonElement:
    return element("IS", [] if number is None else [number])


def _required(attributes: Mapping[str, JsonElement], vrs: Mapping[str, str]) -> JsonObject:
    return {key: attributes.get(key) or element(vr, []) for key, vr in vrs.items()}


def _known(attributes: Mapping[str, JsonElement], keys: Sequence[str]) -> JsonObject:
    return {key: attributes[key] for key in keys if key in attributes}
