"""A gateway with hidden data beside one that never had them: every answer to a caller is the same.

BESIDE_CASES sets the number of requests for each kind of caller (default 150). Both are asked the same in the
same order, since what failed a moment ago is left out.
"""

import os
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import orjson
import pytest

from dicomweb_gateway.app import create_app
from dicomweb_gateway.errors import UndecodablePixels
from dicomweb_gateway.sight import EVERYTHING, NOTHING, Grant, Sight
from tests.routes.archive import (
    BOXED,
    CT,
    HTML,
    JPEG,
    OTHER,
    PDF,
    RGB,
    SEG,
    SR,
    STORE,
    STUDY,
    House,
    build,
    hex_id,
)

CASES = int(os.environ.get("BESIDE_CASES", "150"))
ELSEWHERE = "e" * 32
SERIES = (CT, SR, JPEG, SEG, PDF, RGB, HTML, BOXED)
UNKNOWN = f"{OTHER}.99"
OWN = {"Date", "Server-Timing", "X-Request-Id"}

PATIENTS: dict[str, dict[str, Any]] = {
    RGB: {"PatientID": "P9", "PatientName": "Zed^Other", "IssuerOfPatientID": "NORTH"},
    PDF: {"PatientID": "P1", "IssuerOfPatientID": "NORTH"},
    SR: {"PatientID": "P1", "IssuerOfPatientID": "SOUTH", "PatientComments": "comment of SR"},
}


def spoken(series: str, blob: bytes) -> bytes:
    """The document of an image set that describes its study in words of its own, some of other patients."""
    document = orjson.loads(blob)
    document["Patient"]["DICOM"] |= PATIENTS.get(series, {})
    document["Study"]["DICOM"] |= {
        "StudyDescription": f"words of {series}",
        "AccessionNumber": f"A{series[-1]}",
        "ReferringPhysicianName": f"Doctor^{series[-1]}",
    }
    (below,) = document["Study"]["Series"].values()
    below["DICOM"]["SeriesDescription"] = f"series {series}"
    if series in (HTML, JPEG):
        document["DatastoreID"] = ELSEWHERE
    return orjson.dumps(document)


def only(stores: frozenset[str] | None = None, **wanted: str | tuple[str, ...]) -> Grant:
    listed = ((key, (one,) if isinstance(one, str) else one) for key, one in wanted.items())
    return Grant(stores, tuple(sorted(listed)))


CALLERS = {
    "CT": (Sight((only(Modality="CT"),)), {CT, JPEG, RGB, BOXED}),
    "SEG or documents": (Sight((only(Modality="SEG"), only(Modality="DOC"))), {SEG, PDF, HTML}),
    "one patient": (Sight((only(PatientID="P9"),)), {RGB}),
    "an issuer": (Sight((only(IssuerOfPatientID="NORTH"),)), {RGB, PDF}),
    "a data store": (EVERYTHING.within(frozenset({STORE})), {CT, SR, SEG, PDF, RGB, BOXED}),
    "another": (EVERYTHING.within(frozenset({ELSEWHERE})), {JPEG, HTML}),
    "CT of one, all of another": (
        Sight((only(frozenset({STORE}), Modality="CT", PatientID="P1"), only(frozenset({ELSEWHERE})))),
        {CT, BOXED, JPEG, HTML},
    ),
    "nobody": (NOTHING, set()),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> House:
    return build(tmp_path_factory.mktemp("whole"), change=without(set(SERIES)))


def without(hidden_but: set[str]) -> Callable[[str, bytes], bytes | None]:
    return lambda series, blob: spoken(series, blob) if series in hidden_but else None


Asked = tuple[str, str, dict[str, str], Any]
"""Method, address, headers, JSON body."""

VALUES = {
    "PatientID": ("P1", "P9", "P*", "Q*"),
    "PatientName": ("Zed*", "*", "M*", "zed^other"),
    "IssuerOfPatientID": ("NORTH", "SOUTH", "*"),
    "StudyDescription": (*(f"words of {one}" for one in SERIES), "words*", "*1"),
    "AccessionNumber": ("A1", "A2", "A3", "A*"),
    "ReferringPhysicianName": ("Doctor^6", "Doctor*"),
    "PatientComments": ("comment of SR", "*"),
    "StudyInstanceUID": (STUDY, OTHER, f"{STUDY},{OTHER}", "1.2.3"),
    "ModalitiesInStudy": ("CT", "SEG", "SR", "DOC", "C?"),
    "StudyDate": ("20240311", "20240101-20240401", "-2023"),
    "NumberOfStudyRelatedSeries": ("1", "2", "3", "4", "6"),
}
BELOW = {
    "Modality": ("CT", "SEG", "SR", "DOC"),
    "SeriesInstanceUID": (*SERIES, UNKNOWN),
    "SeriesDescription": (*(f"series {one}" for one in SERIES), "series*"),
}


def searches(chance: random.Random) -> Asked:
    level = chance.choice(["studies", "series", "instances"])
    study, series = chance.choice([STUDY, OTHER]), chance.choice([*SERIES, UNKNOWN])
    above = {
        "studies": [""],
        "series": ["", f"/studies/{study}"],
        "instances": ["", f"/studies/{study}", f"/studies/{series.rpartition('.')[0]}/series/{series}"],
    }[level]
    keys = {**VALUES, **(BELOW if level != "studies" else {})}
    pairs = [
        (key, chance.choice(keys[key])) for key in chance.sample(sorted(keys), chance.choice([0, 0, 1, 1, 2]))
    ]
    pairs += [
        one
        for one in (
            ("limit", str(chance.randint(1, 4))),
            ("offset", str(chance.randint(0, 3))),
            ("includefield", chance.choice(["all", "StudyDescription", "SeriesDescription"])),
            ("totalcount", "true"),
            ("orderby", chance.choice(["StudyDate", "-StudyDescription", "PatientName", "AccessionNumber"])),
            ("fuzzymatching", "true"),
        )
        if chance.random() < 0.35
    ]
    query = "&".join(f"{key}={value.replace('^', '%5E')}" for key, value in pairs)
    accept = chance.choice(
        ["application/dicom+json", "application/json", 'multipart/related; type="application/dicom+xml"']
    )
    return (
        chance.choice(["GET", "GET", "HEAD"]),
        f"/aetitle{chance.choice(above)}/{level}?{query}",
        {"Accept": accept},
        None,
    )


def retrievals(chance: random.Random) -> Asked:
    series = chance.choice([*SERIES, *SERIES, UNKNOWN])
    study = chance.choice([series.rpartition(".")[0]] * 5 + [STUDY])
    of_study = f"/aetitle/studies/{study}"
    of_series = f"{of_study}/series/{series}"
    one = f"{of_series}/instances/{series}.{chance.choice([1, 1, 1, 2, 9])}"
    path = chance.choice(
        [
            *(f"{level}/metadata" for level in (of_study, of_series, one)),
            *(of_study, of_series, one, f"{one}/frames/1", f"{one}/frames/1,2", f"{one}/pixeldata"),
            *(f"{level}/thumbnail" for level in (of_study, of_series, one)),
            *(
                f"{one}/rendered",
                f"{one}/bulkdata/00091001",
                f"{of_series}/pixeldata",
                f"{of_series}/rendered",
            ),
        ]
    )
    accept = chance.choice(["*/*", "*/*", "application/dicom+json", "application/zip", "image/png", "text/x"])
    headers = {"Accept": accept}
    if chance.random() < 0.1:
        headers["Range"] = chance.choice(["bytes=0-99", "bytes=-5", "bytes=999999999-"])
    return chance.choice(["GET", "GET", "GET", "HEAD", "POST"]), path, headers, None


def services(chance: random.Random) -> Asked:
    series = chance.choice([*SERIES, UNKNOWN])
    store = chance.choice([STORE, STORE, ELSEWHERE, "0" * 32])
    one = f"/datastore/{store}/imageSet/{hex_id('set', series)}"
    frame = hex_id("frame", series, 1, 1)
    method, path = chance.choice(
        [
            ("GET", f"{one}/getImageFrame?imageFrameId={frame}"),
            ("HEAD", f"{one}/getImageFrame?imageFrameId={frame}&startLevel=0&endLevel=1"),
            ("GET", f"{one}/getImageSetMetadata"),
            ("POST", f"{one}/getImageSetMetadata?version=1"),
            ("GET", f"{one}/getImageSet"),
            ("POST", f"/datastore/{store}/searchImageSets?maxResults={chance.randint(1, 9)}"),
            ("POST", f"{one}/deleteImageSet"),
        ]
    )
    return method, path, {}, {} if method == "POST" else None


def requests_of(caller: str) -> Iterator[Asked]:
    chance = random.Random(caller)
    for _ in range(CASES):
        yield chance.choice([searches, searches, retrievals, retrievals, services])(chance)


def answer(client: Any, asked: Asked) -> tuple[int, list[tuple[str, str]], bytes]:
    """Status, headers and body; what breaks off while it goes out has the body up to there."""
    method, path, headers, body = asked
    response = client.open(path, method=method, headers=headers, json=body)
    gathered = b""
    with suppress(UndecodablePixels):
        for piece in response.iter_encoded():
            gathered += piece
    response.close()
    kept = [(name, value) for name, value in response.headers.items() if name not in OWN]
    return response.status_code, kept, _without_tokens(gathered)


def _without_tokens(body: bytes) -> bytes:
    """A token is another one each time; that there is one, and how long, is compared."""
    if b'"nextToken":"' not in body:
        return body
    found = orjson.loads(body)
    return orjson.dumps({**found, "nextToken": len(found["nextToken"])})


@pytest.mark.parametrize("caller", CALLERS)
def test_what_is_hidden_changes_no_answer(whole: House, caller: str, tmp_path: Any) -> None:
    sight, seen = CALLERS[caller]
    bare = build(tmp_path, change=without(seen))
    with_hidden, plain = (create_app(house.services.seen_by(sight)).test_client() for house in (whole, bare))
    everybody = create_app(whole.services).test_client()
    statuses = set()
    for asked in requests_of(caller):
        found, never = answer(with_hidden, asked), answer(plain, asked)
        assert found == never, asked
        statuses.add(found[0])
        # the tag of an answer that shows more is none of this caller's
        tag = dict(answer(everybody, asked)[1]).get("ETag")
        if tag is not None and asked[0] == "GET":
            again = (*asked[:2], {**asked[2], "If-None-Match": tag}, asked[3])
            assert answer(with_hidden, again) == answer(plain, again), again
    assert {200, 404} <= statuses
