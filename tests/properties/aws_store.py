"""The random archives of `store` as the AWS Lambda alone keeps them, and as it and our indexer do together.

What the Lambda loses of a value (healthimaging.md 6.3) is taken out of the archives here, one by one,
so that all that is left can be compared as strictly as in our own tables.
"""

import random
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

import orjson
from sqlalchemy import Engine

from dicomweb_gateway.imagesets.metadata import parse_document
from dicomweb_gateway.index.indexer import index_image_set
from tests.aws_index.indexer import put_image_set
from tests.properties.store import Thing, make_store, raw_documents

NO_COLUMN = {"SeriesDate", "AcquisitionDateTime", "00400275.00400009", "00400275.00401001"}
"""Keys for which the AWS tables have no column."""

WAYS = ("ours", "theirs", "theirs", "theirs then ours", "ours then theirs", "a newer version by theirs")
"""Who indexes an image set, in which order."""

Document = dict[str, Any]


@dataclass
class Archive:
    """`studies`; how each image set is indexed, in an order of their own; the UIDs that our tables know."""

    studies: tuple[Thing, ...]
    steps: list[tuple[str, Document]] = field(default_factory=list)
    known: set[str] = field(default_factory=set)


@cache
def lambda_archive(seed: int) -> Archive:
    """All by the Lambda."""
    studies = _readable(seed)
    for study in studies:
        study.tags["StudyTime"] = _misread(study.tags["StudyTime"])
    steps = [("theirs", raw) for _, raw in _image_sets(seed, studies)]
    return Archive(studies, steps)


@cache
def mixed_archive(seed: int) -> Archive:
    """Each image set in a way of its own."""
    studies = _readable(seed)
    for study in studies:
        # An unknown series of a known study is compared by the study row that the Lambda may have written.
        study.tags["StudyTime"] = _misread(study.tags["StudyTime"])
    archive, chance = Archive(studies), random.Random(f"ways {seed}")
    for (study, series), raw in _image_sets(seed, studies):
        way = chance.choice(WAYS)
        if way == "a newer version by theirs" and len(series.below) == 1:
            way = "ours then theirs"
        archive.steps.append((way, raw))
        if way != "theirs":
            given = series.below[:-1] if way == "a newer version by theirs" else series.below
            archive.known |= {study.uid, series.uid, *(one.uid for one in given)}
    return archive


def fill(engine: Engine, archive: Archive) -> None:
    """Index the archive in an AWS database."""
    for way, raw in archive.steps:
        if way == "theirs then ours":
            _put(engine, raw)
        if way == "a newer version by theirs":
            older = deepcopy(raw)
            (series,) = older["Study"]["Series"].values()
            series["Instances"].popitem()
            _index(engine, older)
        elif way != "theirs":
            _index(engine, raw)
        if way not in ("ours", "theirs then ours"):
            _put(engine, raw)


def _index(engine: Engine, raw: Document) -> None:
    index_image_set(engine, parse_document(orjson.dumps(raw)), version=1)


def _put(engine: Engine, raw: Document) -> None:
    with engine.begin() as connection:
        put_image_set(connection, raw)


def _image_sets(seed: int, studies: tuple[Thing, ...]) -> list[tuple[tuple[Thing, Thing], Document]]:
    """Study and series of each image set, and its document, shuffled."""
    found = [
        (chain, _without_nulls(raw, random.Random(f"nulls {seed} {chain[0].uid}")))
        for study in studies
        for chain, raw in zip(((study, one) for one in study.below), raw_documents(study), strict=True)
    ]
    random.Random(f"order {seed}").shuffle(found)
    return found


def _without_nulls(raw: Document, chance: random.Random) -> Document:
    """Leave out some of the attributes without a value: the Lambda writes something else for them then."""
    for tags in (raw["Patient"]["DICOM"], raw["Study"]["DICOM"]):
        for keyword in [key for key, value in tags.items() if value is None]:
            if chance.random() < 0.5:
                del tags[keyword]
    return raw


def _readable(seed: int) -> tuple[Thing, ...]:
    """The archive of `seed` without what the AWS tables cannot tell apart."""
    studies = deepcopy(make_store(seed))
    for study in studies:
        # One patient row stands for all ids that are equal in the collation: each gets an issuer.
        study.tags["IssuerOfPatientID"] = f"I{study.uid}"
        for name in ("PatientName", "ReferringPhysicianName"):
            study.tags[name] = _composed(study.tags[name])
        if seed % 2 and study.tags["PatientName"]:
            # Names of one group are looked for by their column's index, if no other name has more.
            study.tags["PatientName"] = study.tags["PatientName"].split("=")[0]
    return studies


def _composed(name: str | None) -> str | None:
    """Databases do not compose letters (README, Searching)."""
    return name and name.replace("e\u0301", "\u00e9")


def _misread(clock: str | None) -> str | None:
    """Flaw 3: what is not HHMMSS is lost or read as another time."""
    try:
        return datetime.strptime(clock or "", "%H%M%S").strftime("%H%M%S")
    except ValueError:
        return None
