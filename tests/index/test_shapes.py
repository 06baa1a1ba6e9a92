"""Statements that are kept by the shape of a search."""

from datetime import date

import pytest
from sqlalchemy.dialects.mysql import pymysql

from dicomweb_gateway.index import shapes
from dicomweb_gateway.index.search_tables import Candidates
from dicomweb_gateway.index.shapes import page_of_rows
from dicomweb_gateway.index.side_search import SideSearch
from dicomweb_gateway.qido.expression import QidoQuery
from dicomweb_gateway.qido.parse import parse_query
from dicomweb_gateway.sight import EVERYTHING, Grant, Sight


def study_query(**keys: str) -> QidoQuery:
    return parse_query("study", list(keys.items()), max_results=100)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"includefield": "all", "limit": "7", "offset": "3"}),
        ({"PatientID": "A"}, {"PatientID": "B"}),
        ({"StudyDate": "20240101-"}, {"StudyDate": "20250203-"}),
        ({"StudyInstanceUID": "1.2,1.3"}, {"StudyInstanceUID": "1.4,1.5"}),
        ({"ModalitiesInStudy": "CT"}, {"ModalitiesInStudy": "MR"}),
    ],
)
def test_searches_of_one_shape_share_a_statement(one, other):
    first, _ = page_of_rows(SideSearch(), study_query(**one), 5, {})
    second, _ = page_of_rows(SideSearch(), study_query(**other), 6, {})
    assert first is second


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"PatientID": "A"}, {"AccessionNumber": "A"}),
        ({"PatientID": "A"}, {"PatientID": ""}),
        ({"PatientID": "A"}, {"PatientID": "A,B"}),
        ({"StudyDate": "20240101-"}, {"StudyDate": "-20240101"}),
        ({"StudyDate": "20240101"}, {"StudyDate": "20240101", "PatientID": "A"}),
        ({}, {"orderby": "PatientID"}),
    ],
)
def test_other_shapes_do_not(one, other):
    first, _ = page_of_rows(SideSearch(), study_query(**one), 5, {})
    second, _ = page_of_rows(SideSearch(), study_query(**other), 5, {})
    assert str(first) != str(second)


def test_a_kept_statement_holds_no_values():
    query = study_query(PatientID="SECRET-1", StudyDate="20240229")
    statement, values = page_of_rows(SideSearch(), query, 5, {})
    assert set(statement.compile().params.values()).isdisjoint({"SECRET-1", date(2024, 2, 29)})
    assert {"SECRET-1", date(2024, 2, 29), 5, 0} <= set(values.values())


def test_what_was_found_belongs_to_the_shape():
    query = study_query(ModalitiesInStudy="CT")
    (condition,) = query.conditions
    statements = [
        page_of_rows(SideSearch(), query, 5, plan)[0]
        for plan in ({}, {condition: Candidates(None)}, {condition: Candidates(["1.2"])})
    ]
    assert len({str(statement) for statement in statements}) == 3
    again, values = page_of_rows(SideSearch(), query, 5, {condition: Candidates(["1.3", "1.4"])})
    assert again is statements[2]
    assert ["1.3", "1.4"] in values.values()


def test_sights_are_told_apart():
    query = study_query()
    sights = [EVERYTHING.within(frozenset({name})) for name in "ab"]
    one, other = (page_of_rows(SideSearch(sight), query, 5, {})[0] for sight in sights)
    assert one is not other


DIALECT = pymysql.dialect(paramstyle="pyformat")
KEYS = [
    {},
    {"StudyInstanceUID": "1.2,1.3", "PatientID": "A"},
    {"StudyDate": "20240101-20240201", "StudyTime": "1000-", "AccessionNumber": ""},
    {"ModalitiesInStudy": "CT"},
    {"ModalitiesInStudy": "", "PatientSex": "F"},
    {"NumberOfStudyRelatedInstances": "7", "orderby": "PatientName,-StudyDate"},
    {"PatientName": "DOE*", "PatientID": "A*"},
]
"""Keys of every kind; the last are of no shape."""
WANTED = (("Modality", ("CT", "M*")), ("IssuerOfPatientID", ("A",)))
SIGHTS = [
    EVERYTHING,
    EVERYTHING.within(frozenset({"x"})),
    Sight((Grant(frozenset({"x"}), WANTED), Grant(None, WANTED))),
]


@pytest.mark.parametrize("keys", KEYS, ids=str)
@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("sight", SIGHTS, ids=str)
@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_a_kept_statement_says_what_one_made_for_the_search_says(level, sight, beside, keys, monkeypatch):
    def said() -> str:
        statement, values = page_of_rows(SideSearch(sight, beside), query, 5, {})
        full = statement.compile(dialect=DIALECT).construct_expanded_state(values)
        return full.statement % {name: repr(value) for name, value in full.parameters.items()}

    query = parse_query(level, list(keys.items()), study_uid=None if level == "study" else "1.9")
    kept = said()
    monkeypatch.setattr(shapes, "_shape_of", lambda *_: None)
    assert said() == kept
