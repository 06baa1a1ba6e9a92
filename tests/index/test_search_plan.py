"""The ways to a page of studies, by keys, by walking or as the database likes, lead to the same one."""

import itertools

import pytest

from dicomweb_gateway.index import search_plan
from dicomweb_gateway.index.engine import make_engine, reading
from dicomweb_gateway.index.indexer import index_image_set
from dicomweb_gateway.index.migrate import upgrade
from dicomweb_gateway.index.search_plan import look_into
from dicomweb_gateway.index.side_search import SideSearch
from dicomweb_gateway.qido.expression import ModalitiesIn, NameIn, NameWords
from dicomweb_gateway.qido.parse import parse_query
from tests.index.documents import simple
from tests.index.searching import search

FAMILIES = ["Doe", "Döring", "Dorn^Ann", "Meyer", "Maier-Dorn", "Гусева", "Yamada=山田"]
MODALITIES = ["CT", "MR", "CR", None]

WAYS = {
    # LISTED, MANY, and what is found out then about a condition that an index leads to, and about another
    "listed": (1000, 1000, True, True),
    "walk": (1, 1, False, False),
    "left to the database": (1, 1000, None, True),
}

SEARCHES = [
    "PatientName=do*",
    "PatientName=*r*",
    "PatientName=maier-dorn*&PatientName=do*",
    "PatientName=D*&StudyDate=20240105-20240120",
    "PatientName=d*&ModalitiesInStudy=CT",
    "PatientName=山田*",
    "PatientName=nobody*",
    "ReferringPhysicianName=m*&PatientName=*",
    "PatientName=dor&fuzzymatching=true",
    "PatientName=d m&fuzzymatching=true",
    "PatientName=*o&fuzzymatching=true&ReferringPhysicianName=mey",
    "ModalitiesInStudy=CT",
    "ModalitiesInStudy=C?",
    "ModalitiesInStudy=?R",
    "ModalitiesInStudy=CT,MR&PatientSex=F",
    "ModalitiesInStudy=US",
    'ModalitiesInStudy=CT&ModalitiesInStudy=""&emptyvaluematching=true',
    'PatientName=do*&PatientName=""&emptyvaluematching=true',
]
PAGES = ["", "&limit=3", "&limit=3&offset=2", "&offset=4", "&limit=2&offset=100"]


@pytest.fixture(scope="module")
def engine(new_index_url):
    url = new_index_url()
    upgrade(url)
    made = make_engine(url)
    for number in range(28):
        family = FAMILIES[number % len(FAMILIES)]
        patient = {"PatientName": None if number == 20 else family, "PatientSex": "FM"[number % 2]}
        study = {
            "StudyDate": f"202401{number % 20 + 1:02}",
            "ReferringPhysicianName": ["Meyer^A", "Schmidt^Mo"][number % 3 == 0],
        }
        series = {"Modality": MODALITIES[number % 5 % 4]}
        one = simple(f"1.{number}", str(number), patient=patient, study=study, series_tags=series)
        index_image_set(made, one, version=1)
    yield made
    made.dispose()


def parsed(text):
    pairs = [tuple(pair.split("=", 1)) for pair in text.split("&")]
    return parse_query("study", [*pairs, ("totalcount", "true")])


@pytest.mark.parametrize("text", SEARCHES)
def test_every_way_leads_to_the_same_page(engine, monkeypatch, text):
    for page in PAGES:
        answers = []
        for listed, many, *_ in WAYS.values():
            monkeypatch.setattr(search_plan, "LISTED", listed)
            monkeypatch.setattr(search_plan, "MANY", many)
            answers.append(search(engine, parsed(text + page)))
        for one, other in itertools.pairwise(answers):
            assert one.rows == other.rows
            assert (one.total, one.remaining) == (other.total, other.remaining)
        if not page:
            assert one.total == len(one.rows)
            everything = one.rows
        elif "limit=3" in page:
            start = 2 if "offset" in page else 0
            assert one.rows == everything[start : start + 3]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("text", "kind", "by_range"),
    [
        ("PatientName=do*", NameIn, True),
        ("PatientName=*o*", NameIn, False),
        ("PatientName=do&fuzzymatching=true", NameWords, True),
        ("ModalitiesInStudy=CT", ModalitiesIn, True),
        ("ModalitiesInStudy=?R", ModalitiesIn, False),
    ],
)
def test_each_way_is_taken(engine, monkeypatch, way, text, kind, by_range):
    """True: keys are listed, False: studies are walked through, None: nothing is said."""
    listed, many, ranged, other = WAYS[way]
    monkeypatch.setattr(search_plan, "LISTED", listed)
    monkeypatch.setattr(search_plan, "MANY", many)
    query = parsed(text)
    assert isinstance(query.conditions[0], kind)
    with reading(engine) as connection:
        plan = look_into(connection, SideSearch(), query)
    found = {condition: candidates.keys is not None for condition, candidates in plan.items()}
    assert found.get(query.conditions[0]) is (ranged if by_range else other)


@pytest.mark.parametrize("text", ["PatientID=P1", "StudyInstanceUID=1.1,1.2", "orderby=PatientName"])
def test_where_keys_are_few_or_all_matches_are_needed_nothing_is_asked(engine, text):
    with reading(engine) as connection:
        assert look_into(connection, SideSearch(), parsed(f"PatientName=do*&{text}")) == {}
