"""Small archives made at random from a number, in plain values, and as the documents that are indexed."""

import random
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import orjson

from dicomweb_gateway.imagesets.metadata import ImageSetDocument, parse_document
from tests.index.documents import instance, raw_document

LETTERS = [
    *"abAB1 ^-%_!'\\\"[",
    *("é", "É", "ü", "ß", "ø", "Ж", "ж", "ё", "σ", "ς", "山", "が", "か"),
    *("e\u0301", "\U0001f600", "\U0010ffff", "\ud7ff", "\ue000"),
]
"""What breaks comparisons: case, LIKE's own signs, quotes, composed letters, the ends of planes."""

DATES = ["20231231", "20240101", "20240102", "20240229", "19700101", None]
TIMES = ["10", "1030", "103000", "103000.5", "235959.999999", "000000", None]
MOMENTS = [
    "2024",
    "20240101",
    "202401011030",
    "20240101103000.5",
    "20240101003000+0100",
    "202312312330-0100",
    None,
]
ZONES = ["+0100", "-0500", None]
NUMBERS = ["1", "2", "007", "+3", "12", "-1", None]
MODALITIES = ["CT", "MR", "SR", None]
SEXES = ["M", "F", "O", None]
PARTS = ["HEAD", "CHEST", "Head", None]
STEPS = ["S1", "S2", "s1", None]


@dataclass
class Thing:
    """A study, series or instance: its UID, its attributes by keyword, what lies below."""

    uid: str
    tags: dict[str, Any]
    below: list["Thing"] = field(default_factory=list)


def word(chance: random.Random, longest: int = 4) -> str:
    return "".join(chance.choices(LETTERS, k=chance.randint(0, longest)))


def _text(chance: random.Random) -> str | None:
    # Among few values some are the same, or nearly: that is what collations confuse.
    near = ["Doe", "doe", "Doe ", " Doe", "DÓE", "D\u00f3e", "Doe, A", "Do%", "D_e", "D\\e"]
    made = chance.choice([word(chance), chance.choice(near)]).replace("\\", "/")
    return chance.choice([made, made, made, None])


def _name(chance: random.Random) -> str | None:
    known = [
        "Doe^John",
        "DOE^JOHN^^",
        "Müller-Doe^Jörg",
        "Muller",
        "Meier-Doh^Jon",
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
        "Гусёва^А",
    ]
    groups = [
        "".join(chance.choices([*LETTERS, "^"], k=chance.randint(0, 5))) for _ in range(chance.randint(1, 3))
    ]
    return chance.choice([chance.choice(known), "=".join(groups).replace("\\", ""), None])


def _series(chance: random.Random, uid: str) -> Thing:
    items = [
        {"ScheduledProcedureStepID": chance.choice(STEPS), "RequestedProcedureID": chance.choice(STEPS)}
        for _ in range(chance.choice([0, 0, 1, 2]))
    ]
    tags = {
        "Modality": chance.choice(MODALITIES),
        "SeriesNumber": chance.choice(NUMBERS),
        "SeriesDescription": _text(chance),
        "BodyPartExamined": chance.choice(PARTS),
        "SeriesDate": chance.choice(DATES),
        "RequestAttributesSequence": items,
    }
    return Thing(uid, tags, [_instance(chance, f"{uid}.{n}") for n in range(1, chance.randint(1, 3) + 1)])


def _instance(chance: random.Random, uid: str) -> Thing:
    tags = {
        "InstanceNumber": chance.choice(NUMBERS),
        "ContentDate": chance.choice(DATES),
        "AcquisitionDateTime": chance.choice(MOMENTS),
        "TimezoneOffsetFromUTC": chance.choice(ZONES),
    }
    return Thing(uid, tags)


@cache
def make_store(seed: int) -> tuple[Thing, ...]:
    """The studies of the archive that `seed` stands for."""
    chance = random.Random(seed)
    studies = []
    for number in range(1, 13):
        uid = f"1.2.{number}"
        tags = {
            "PatientID": _text(chance),
            "PatientName": _name(chance),
            "PatientSex": chance.choice(SEXES),
            "ReferringPhysicianName": _name(chance),
            "StudyDescription": _text(chance),
            "AccessionNumber": _text(chance),
            "StudyDate": chance.choice(DATES),
            "StudyTime": chance.choice(TIMES),
        }
        below = [_series(chance, f"{uid}.{n}") for n in range(1, chance.randint(1, 3) + 1)]
        studies.append(Thing(uid, tags, below))
    return tuple(studies)


PATIENT = ("PatientID", "IssuerOfPatientID", "PatientName", "PatientSex")


def documents(study: Thing) -> list[ImageSetDocument]:
    """One image set for each series of the study."""
    return [parse_document(orjson.dumps(raw)) for raw in raw_documents(study)]


def raw_documents(study: Thing) -> list[dict[str, Any]]:
    """The same as decoded JSON."""
    return [
        raw_document(
            study.uid,
            {one.uid: {below.uid: instance(below.uid, frames=0, **below.tags) for below in one.below}},
            name=one.uid,
            patient={key: value for key, value in study.tags.items() if key in PATIENT},
            study={key: value for key, value in study.tags.items() if key not in PATIENT},
            series_tags=one.tags,
        )
        for one in study.below
    ]
