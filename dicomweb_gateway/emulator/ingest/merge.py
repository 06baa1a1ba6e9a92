"""Puts imported instances into one image set document, new or existing (healthimaging.md 2.1, 2.2, 2.5)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from dicomweb_gateway.dicom.dictionary import tag_of_key
from dicomweb_gateway.dicom.normalization import Level, level_of
from dicomweb_gateway.emulator.ingest.instance import ImportedInstance

_LEVELS: tuple[Level, ...] = ("patient", "study", "series")
Tags = dict[str, Any]


@dataclass(frozen=True, slots=True)
class MergedDocument:
    """The document as JSON bytes, with what the catalogue wants to know of it."""

    body: bytes
    patient: Tags
    study: Tags
    series: Tags
    instances: int


@dataclass(slots=True)
class _Entry:
    """One instance with its own values of the three upper levels; `body` is its entry in the document."""

    levels: tuple[Tags, Tags, Tags]
    body: Any


def merged_document(
    datastore_id: str,
    image_set_id: str,
    series_uid: str,
    existing: bytes | None,
    imported: Sequence[ImportedInstance],
) -> MergedDocument:
    """`existing` (a document, not compressed) with instances added, or put in the place of the same UID.

    HealthImaging shows the attributes of patient, study and series once. Where instances of one series
    disagree, the level shows what most of them say, and the others carry their own value at instance level,
    null where they have none: so every instance reads as its file does.
    """
    entries = _existing_entries(existing, series_uid) if existing is not None else {}
    parsed = _LevelCache()
    for instance in imported:
        entries[instance.identity.instance_uid] = _Entry(
            parsed.levels(instance), orjson.Fragment(instance.instance)
        )
    bodies = {instance.identity.instance_uid: instance.instance for instance in imported}
    uids = sorted(entries)
    common = []
    for index in range(len(_LEVELS)):
        level, overrides = _agreed([entries[uid].levels[index] for uid in uids])
        common.append(level)
        for uid, own in zip(uids, overrides, strict=True):
            if own:
                entry = entries[uid]
                if isinstance(entry.body, orjson.Fragment):
                    entry.body = orjson.loads(bodies[uid])
                entry.body["DICOM"].update(own)
    patient, study, series = common
    body = orjson.dumps(
        {
            "SchemaVersion": "1.1",
            "DatastoreID": datastore_id,
            "ImageSetID": image_set_id,
            "Patient": {"DICOM": patient},
            "Study": {
                "DICOM": study,
                "Series": {
                    series_uid: {"DICOM": series, "Instances": {uid: entries[uid].body for uid in uids}}
                },
            },
        }
    )
    return MergedDocument(body, patient, study, series, len(uids))


class _LevelCache:
    """Level attributes are the same for most instances of a series: each distinct text is parsed once."""

    def __init__(self) -> None:
        self._parsed: dict[bytes, Tags] = {}

    def levels(self, instance: ImportedInstance) -> tuple[Tags, Tags, Tags]:
        return self._of(instance.patient), self._of(instance.study), self._of(instance.series)

    def _of(self, text: bytes) -> Tags:
        if text not in self._parsed:
            self._parsed[text] = orjson.loads(text)
        return self._parsed[text]


def _existing_entries(document: bytes, series_uid: str) -> dict[str, _Entry]:
    raw = orjson.loads(document)
    series = raw["Study"]["Series"][series_uid]
    levels = (raw["Patient"]["DICOM"], raw["Study"]["DICOM"], series["DICOM"])
    return {uid: _taken_apart(levels, body) for uid, body in series["Instances"].items()}


def _taken_apart(levels: tuple[Tags, Tags, Tags], body: dict[str, Any]) -> _Entry:
    """An instance of an existing document with its effective upper-level values."""
    own: dict[Level, Tags] = {name: {} for name in _LEVELS}
    for key in list(body["DICOM"]):
        tag = tag_of_key(key)
        name = "instance" if tag is None else level_of(tag)
        if name != "instance":
            own[name][key] = body["DICOM"].pop(key)
    patient, study, series = (
        {**level, **own[name]} if own[name] else level for name, level in zip(_LEVELS, levels, strict=True)
    )
    return _Entry((patient, study, series), body)


def _agreed(levels: Sequence[Mapping[str, Any]]) -> tuple[Tags, list[Tags]]:
    """What a level shows, and for each instance what it must carry itself."""
    first = levels[0]
    if all(level is first or level == first for level in levels):
        return dict(first), [{}] * len(levels)
    common: Tags = {}
    for key in dict.fromkeys(key for level in levels for key in level):
        counts = Counter(orjson.dumps(level[key]) for level in levels if key in level)
        common[key] = orjson.loads(counts.most_common(1)[0][0])
    overrides = [
        {key: level.get(key) for key, value in common.items() if level.get(key) != value} for level in levels
    ]
    return common, overrides
