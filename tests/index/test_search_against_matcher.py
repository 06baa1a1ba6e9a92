"""Random searches against a matcher that reads the contract word by word (dicomweb.md 2.3)."""

import random
import re
import unicodedata

import pytest

from dicomweb_gateway.errors import InvalidRequest
from dicomweb_gateway.index.indexer import index_image_set
from dicomweb_gateway.index.search import search
from dicomweb_gateway.qido.parse import parse_query
from tests.index.documents import document, instance

LETTERS = [
    "a",
    "A",
    "b",
    "%",
    "_",
    "!",
    "é",
    "É",
    "Ж",
    "ж",
    "^",
    " ",
    "-",
    "山",
    "\U0001f600",
    "\U0010ffff",
    "\ud7ff",
]
DATES = ["20231231", "20240101", "20240102", "20240229", None]
TIMES = ["10", "1030", "103000", "103000.5", "235959.999999", None]
MODALITIES = ["CT", "MR", "SR"]
STUDIES = 120
SEARCHES = 1000


def word(chance, letters=LETTERS):
    return "".join(chance.choices(letters, k=chance.randint(0, 4)))


def make_study(chance, number):
    group = [x for x in LETTERS if x != "="]
    return {
        "uid": f"1.2.{number}",
        "PatientID": word(chance),
        "PatientName": "=".join(word(chance, group) for _ in range(chance.randint(1, 3))),
        "StudyDate": chance.choice(DATES),
        "StudyTime": chance.choice(TIMES),
        "modalities": chance.sample(MODALITIES, chance.randint(1, 2)),
    }


def matches(pattern, value):
    wild = "".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in pattern)
    return re.fullmatch(wild, value, re.DOTALL) is not None


def fold(group):
    parts = [part.strip() for part in group.split("^")]
    return unicodedata.normalize("NFC", re.sub(r"\^+$", "", "^".join(parts))).casefold()


def text_fits(study, key, value):
    value = value.strip()
    stored = study[key].strip()
    members = [value, *re.split(r"[,\\]", value)]
    members = [m.strip() for m in members if m.strip()]
    if not value or any(not m.strip("*") for m in members):
        return True
    return bool(stored) and any(matches(member, stored) for member in members)


def name_fits(study, value):
    wanted = fold(value)
    if not wanted.strip("* "):
        return True
    return any(group and matches(wanted, group) for group in map(fold, study["PatientName"].split("=")))


def interval(value):
    """First and last microsecond-precise text of a TM value, as comparable text."""
    digits, _, fraction = value.partition(".")
    low = digits.ljust(6, "0") + fraction.ljust(6, "0")
    high = digits + "235959"[len(digits) :] + fraction.ljust(6, "9")
    return low, high


def range_fits(stored, value, bounds):
    if not value.strip():
        return True
    if stored is None:
        return False
    start, dash, end = value.partition("-")
    low = bounds(start)[0] if start else ""
    high = (bounds(end)[1] if end else "9" * 20) if dash else bounds(start)[1]
    return low <= bounds(stored)[0] <= high


def expected(studies, key, value):
    fits = {
        "PatientID": lambda s: text_fits(s, "PatientID", value),
        "PatientName": lambda s: name_fits(s, value),
        "StudyDate": lambda s: range_fits(s["StudyDate"], value, lambda d: (d, d)),
        "StudyTime": lambda s: range_fits(s["StudyTime"], value, interval),
        "ModalitiesInStudy": lambda s: any(text_fits({"m": m}, "m", value) for m in s["modalities"]),
    }
    return {study["uid"] for study in studies if fits[key](study)}


def make_value(chance, key):
    if key in ("StudyDate", "StudyTime"):
        pool = [x for x in (DATES if key == "StudyDate" else TIMES) if x]
        one, two = sorted(chance.choices(pool, k=2))
        return chance.choice([one, f"{one}-{two}", f"{one}-", f"-{two}", ""])
    if key == "ModalitiesInStudy":
        return chance.choice(["CT", "M?", "*R", "CT,SR", "ct", "XX", "*"])
    return word(chance, [*LETTERS, "*", "?", "*", "?"] + ([","] if key == "PatientID" else []))


@pytest.fixture
def studies(engine):
    chance = random.Random(20240601)
    made = [make_study(chance, number) for number in range(STUDIES)]
    for study in made:
        uid = study["uid"]
        for number, modality in enumerate(study["modalities"]):
            one = f"{uid}.{number}"
            index_image_set(
                engine,
                document(
                    uid,
                    {one: {f"{one}.1": instance(f"{one}.1", frames=0)}},
                    name=one,
                    patient={key: study[key] for key in ("PatientID", "PatientName")},
                    study={key: study[key] for key in ("StudyDate", "StudyTime")},
                    series_tags={"Modality": modality},
                ),
                version=1,
            )
    return made


def test_random_searches_find_what_the_contract_says(engine, studies):
    chance = random.Random(7)
    keys = ["PatientID", "PatientName", "StudyDate", "StudyTime", "ModalitiesInStudy"]
    narrowed = 0
    for _ in range(SEARCHES):
        pairs = [(key, make_value(chance, key)) for key in chance.sample(keys, chance.randint(1, 2))]
        try:
            query = parse_query("study", pairs)
        except InvalidRequest:
            # Only an interval whose end lies before its start can be wrong here.
            assert any("-" in value and key == "StudyTime" for key, value in pairs), pairs
            continue
        found = {row["0020000D"]["Value"][0] for row in search(engine, query).rows}
        wanted = set.intersection(*(expected(studies, key, value) for key, value in pairs))
        assert found == wanted, pairs
        narrowed += 0 < len(found) < STUDIES
    assert narrowed > SEARCHES / 4
