"""Gateways with hidden image sets beside ones that never had them, whoever indexed them, while they change.

Image sets share studies, series and instances and contradict each other in all that rules can ask for. Both
gateways are asked the same, before and after somebody who sees everything has asked for everything, and after
image sets came, went, changed, came to be hidden or to be seen. BESIDE_WORLDS times as many are made as by
default.
"""

import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import MetaData, NullPool, create_engine, select, text

from dicomweb_gateway.access.caller import Caller
from dicomweb_gateway.access.operations import Operation
from dicomweb_gateway.index.tables import metadata as ours
from dicomweb_gateway.index.traits import shows_document
from tests.databases import drop_database, new_aws_database
from tests.index_files import migrated_file
from tests.routes.test_beside import Asked, answer
from tests.routes.worlds import SECONDS, Place, Set, parsed

WORLDS = int(os.environ.get("BESIDE_WORLDS", "1"))
A, B, C = "a" * 32, "b" * 32, "c" * 32
STUDIES = ("1.2.1", "1.2.2")
RULES = f"""
[paths."/research"]
data_stores = ["{A}"]
[[rules]]
groups = ["everybody"]
[[rules]]
groups = ["store"]
data_stores = ["{A}"]
[[rules]]
groups = ["institution"]
[rules.only]
InstitutionName = "NORTH*"
[[rules]]
groups = ["issuer"]
[rules.only]
IssuerOfPatientID = "N"
[[rules]]
groups = ["both"]
data_stores = ["{A}"]
[rules.only]
Modality = ["CT", "SR"]
[[rules]]
groups = ["two"]
data_stores = ["{B}"]
[[rules]]
groups = ["two"]
data_stores = ["{A}"]
[rules.only]
InstitutionName = "NORTH"
[[rules]]
groups = ["path"]
paths = ["/research"]
"""
CALLERS = ("store", "institution", "issuer", "both", "two", "path")

PATIENTS = (
    *({"PatientID": "P1", "PatientName": "Doe^One", "IssuerOfPatientID": "N"},) * 3,
    {"PatientID": "P1", "PatientName": "Doe^Other", "IssuerOfPatientID": "S"},
    {"PatientID": "P2", "PatientName": "Roe^Two", "IssuerOfPatientID": "N"},
)
WORDS = (
    *({"StudyDescription": "words1", "StudyDate": "20240101", "AccessionNumber": "A1"},) * 3,
    {"StudyDescription": "words2", "StudyDate": "20250101", "AccessionNumber": "A2"},
)
KINDS: dict[str, tuple[str, ...]] = {
    # who has indexed an image set; our own tables are there for all but the second
    "ours": ("ours",),
    "the lambda alone": ("lambda", "lambda", "lambda", "bare"),
    "both": ("ours", "ours", "lambda", "bare"),
}


def some_set(chance: random.Random, name: str, who: tuple[str, ...]) -> Set:
    """An image set that contradicts others."""
    above = {
        "Modality": chance.choice(("CT", "CT", "SR", "OT")),
        "SeriesNumber": chance.choice("123"),
        "SeriesDescription": chance.choice(("s1", f"of{name}")),
        "InstitutionName": chance.choice(("NORTH", "NORTH", "SOUTH", "NORTH-2", "")),
    }
    return Set(
        name=name,
        store=chance.choice((A, A, A, B, C)),
        series=f"{chance.choice(STUDIES)}.{chance.choice((1, 1, 2))}",
        numbers=tuple(sorted(chance.sample((1, 2, 3), chance.choice((1, 2))))),
        patient=chance.choice(PATIENTS),
        words=chance.choice(WORDS),
        above=above,
        changed=datetime(2024, 1, 1) + timedelta(seconds=chance.randrange(100_000)),
        primary=chance.random() < 0.4,
        who=chance.choice(who),
    )


def changed(chance: random.Random, one: Set) -> Set:
    """A newer version of `one`: it says other things, or of its series alone."""
    other = some_set(chance, one.name, (one.who,))
    new = replace(one, version=one.version + 1, above=other.above, changed=one.changed + timedelta(days=1))
    if chance.random() < 0.3:
        return new
    return replace(
        new, patient=other.patient, words=other.words, numbers=other.numbers, primary=other.primary
    )


STUDY_KEYS = {
    "PatientID": ("P1", "P2"),
    "PatientName": ("Doe*", "Doe^Other", "roe^two"),
    "StudyDescription": ("words1", "words2", "w*"),
    "StudyInstanceUID": (*STUDIES, ",".join(STUDIES), "1.2.9"),
    "ModalitiesInStudy": ("CT", "SR", "OT"),
    "StudyDate": ("20240101", "20240601-"),
    "NumberOfStudyRelatedSeries": ("1", "2"),
    "NumberOfStudyRelatedInstances": ("1", "2", "3", "4"),
}
SERIES_KEYS = {
    "Modality": ("CT", "SR"),
    "SeriesDescription": ("s1", "of*"),
    "SeriesNumber": ("1", "2"),
    "InstitutionName": ("NORTH", "SOUTH"),
    "NumberOfSeriesRelatedInstances": ("1", "2", "3"),
}
ORDERS = ("StudyDate", "-StudyDescription", "PatientName")


def searches(chance: random.Random, base: str, _: list[Set]) -> Asked:
    study = chance.choice(STUDIES)
    level, above = chance.choice(
        [
            ("studies", ""),
            *(("series", one) for one in ("", f"/studies/{study}")),
            *(("instances", one) for one in ("", f"/studies/{study}", f"/studies/{study}/series/{study}.1")),
        ]
    )
    keys = {**STUDY_KEYS, **(SERIES_KEYS if level != "studies" else {})}
    pairs = [
        (key, chance.choice(keys[key])) for key in chance.sample(sorted(keys), chance.choice((0, 1, 1, 2)))
    ]
    others = {
        "limit": str(chance.randint(1, 3)),
        "offset": str(chance.randint(0, 2)),
        "includefield": chance.choice(("all", "StudyDescription", "InstitutionName")),
        "orderby": chance.choice(ORDERS),
        "totalcount": "true",
        "fuzzymatching": "true",
    }
    pairs += [pair for pair in others.items() if chance.random() < 0.3]
    query = "&".join(f"{key}={value.replace('^', '%5E')}" for key, value in pairs)
    return "GET", f"{base}{above}/{level}?{query}", {"Accept": "application/dicom+json"}, None


def retrievals(chance: random.Random, base: str, _: list[Set]) -> Asked:
    series = f"{chance.choice(STUDIES)}.{chance.choice((1, 1, 2, 3))}"
    of_study = f"{base}/studies/{series.rpartition('.')[0]}"
    of_series = f"{of_study}/series/{series}"
    one = f"{of_series}/instances/{series}.{chance.choice((1, 1, 2, 3))}"
    levels = (of_study, of_series, one)
    path = chance.choice(
        [
            *(f"{level}/metadata" for level in levels),
            *levels,
            *(f"{level}/thumbnail" for level in levels),
            *(f"{level}/image-sets" for level in levels[:2]),
            *(f"{one}/{name}" for name in ("frames/1", "rendered", "pixeldata", "bulkdata/00091001")),
            *(f"{one}/frames/1/{name}" for name in ("levels", "levels/0")),
            f"{of_study}?accept=application/zip",
        ]
    )
    headers = {"Range": "bytes=0-99"} if chance.random() < 0.1 else {}
    return chance.choice(("GET", "GET", "GET", "HEAD")), path, headers, None


def of_service(chance: random.Random, _: str, sets: list[Set]) -> Asked:
    one = chance.choice(sets)
    store = chance.choice((one.store, one.store, A, B))
    place = f"/datastore/{store}/imageSet/{one.id}"
    version = chance.choice(("", "", "?version=1", "?version=2"))
    frame = f"imageFrameId={one.frame_id(one.numbers[0])}"
    path = chance.choice(
        [
            f"{place}/getImageFrame?{frame}",
            f"{place}/getImageFrame?{frame}&startLevel=0&endLevel=0",
            f"{place}/getImageSetMetadata{version}",
            f"{place}/getImageSet{version}",
            f"/datastore/{store}/searchImageSets?maxResults={chance.randint(1, 3)}",
        ]
    )
    is_search = "searchImageSets" in path
    return "POST" if is_search else "GET", path, {}, {} if is_search else None


def requests(chance: random.Random, base: str, sets: list[Set], number: int) -> Iterator[Asked]:
    for _ in range(number):
        yield chance.choice((searches, searches, retrievals, of_service))(chance, base, sets)


def asked_by(place: Place, caller: str, asked: Asked, **more: str) -> Any:
    method, path, headers, body = asked
    login = {"Authorization": f"Bearer {place.tokens[caller]}"}
    return answer(place.client, (method, path, {**headers, **login, **more}, body))


class Emptied:
    """Two databases with the tables of the AWS project, and ours or not, emptied for each world."""

    def __init__(self, server: str, has_ours: bool) -> None:
        self._server = server
        self._made = [new_aws_database(server) for _ in range(2)]
        self._first: list[dict[Any, Any]] = []
        for _, url in self._made:
            if has_ours:
                # what migrations make too, in a tenth of the time
                ours.create_all(create_engine(url, poolclass=NullPool))
            self._first.append(self._rows(url))

    def urls(self) -> list[str]:
        for (_, url), first in zip(self._made, self._first, strict=True):
            with create_engine(url, poolclass=NullPool).begin() as connection:
                connection.execute(text("SET FOREIGN_KEY_CHECKS=0"))
                for table, rows in first.items():
                    connection.execute(table.delete())
                    if rows:
                        connection.execute(table.insert(), rows)
        return [url for _, url in self._made]

    def drop(self) -> None:
        for name, _ in self._made:
            drop_database(self._server, name)

    @staticmethod
    def _rows(url: str) -> dict[Any, Any]:
        tables = MetaData()
        with create_engine(url, poolclass=NullPool).connect() as connection:
            tables.reflect(connection)
            return {
                table: [dict(row) for row in connection.execute(select(table)).mappings()]
                for table in tables.tables.values()
            }


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def new_urls(kind: str, request: pytest.FixtureRequest) -> Iterator[Callable[[Path], list[str]]]:
    """Makes the URLs of two empty indexes."""
    if kind == "ours":
        yield lambda folder: [migrated_file(folder / f"{number}.db") for number in range(2)]
        return
    databases = Emptied(request.getfixturevalue("mariadb_server"), kind == "both")
    yield lambda _: databases.urls()
    databases.drop()


@pytest.mark.parametrize("seed", range(WORLDS))
def test_what_is_hidden_changes_no_answer_whatever_happens(
    kind: str, new_urls: Callable[[Path], list[str]], seed: int, tmp_path: Path
) -> None:
    chance = random.Random(f"{kind} {seed}")
    caller = CALLERS[(seed + 2 * list(KINDS).index(kind)) % len(CALLERS)]
    whole, bare = (
        Place(tmp_path / name, url, RULES, CALLERS, kind != "the lambda alone")
        for name, url in zip(("whole", "bare"), new_urls(tmp_path), strict=True)
    )
    base = "/research" if caller == "path" else "/aetitle"
    known = Caller(caller, "token", groups=frozenset({caller}))
    sight = whole.rules.sight_of(known, base, Operation.RETRIEVE)

    def is_seen(one: Set) -> bool:
        return shows_document(sight, parsed(one))

    def compare(number: int, after_all: bool) -> None:
        for asked in list(requests(chance, base, sets, number)):
            everybody = asked_by(whole, "everybody", asked) if after_all else None
            found, never = (asked_by(place, caller, asked) for place in (whole, bare))
            assert found == never, asked
            # of one's own answer, and of one that may show more
            for tag in {dict(one[1]).get("ETag") for one in (found, everybody) if one} - {None}:
                held = {"If-None-Match": str(tag)}
                if chance.random() < 0.3 and asked[0] == "GET":
                    found, never = (asked_by(place, caller, asked, **held) for place in (whole, bare))
                    assert found == never, (asked, held)

    sets = [some_set(chance, str(number), KINDS[kind]) for number in range(6)]
    try:
        for one in sets:
            whole.put(one)
            if is_seen(one):
                bare.put(one)
        compare(15, after_all=False)
        compare(15, after_all=True)
        for step in range(2):
            old = chance.choice(sets)
            new = chance.choice((changed(chance, old), some_set(chance, f"new {step}", KINDS[kind]), None))
            was = is_seen(old) and (new is None or new.name == old.name)
            gone = old.name if new is None else new.name
            sets = [one for one in sets if one.name != gone]
            if new is None:
                whole.delete(old)
            else:
                sets.append(new)
                whole.put(new)
            if new is not None and is_seen(new):
                bare.put(new)
            elif was:
                bare.delete(old)
            time.sleep(1.5 * SECONDS)
            compare(10, after_all=step == 1)
    finally:
        whole.close()
        bare.close()
