"""Searches for names by their words and by how they sound (dicomweb.md Q-26, Q-27)."""

import pytest

from dicomweb_gateway.index.engine import make_engine
from dicomweb_gateway.index.indexer import index_image_set
from dicomweb_gateway.index.migrate import upgrade
from dicomweb_gateway.qido.parse import parse_query
from tests.index.documents import simple
from tests.index.filled import studies, uids
from tests.index.searching import search


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("PatientName", "joh", "1"),
        ("PatientName", "ohn", ""),
        ("PatientName", "*ohn", "1"),
        ("PatientName", "john doe", "1"),
        ("PatientName", "DOE,j", "1"),
        ("PatientName", "Doe", "1 2"),
        ("PatientName", "doe^jane", ""),
        ("PatientName", "doe*", "1 2"),
        ("PatientName", "j?hn", "1"),
        ("PatientName", "dr doe", "1"),
        ("PatientName", "ГУСЕВА", "3"),
        ("PatientName", "анна гус", "3"),
        ("PatientName", "太 やま", "4"),
        ("PatientName", "yamada=tarou", "4"),
        ("PatientName", "やまた", ""),
        ("PatientName", "", "1 2 3 4 5"),
        ("PatientName", "*", "1 2 3 4 5"),
        ("PatientName", "%", ""),
        ("PatientName", "_oe", ""),
        ("PatientName", '""', ""),
        ("ReferringPhysicianName", "muller", "3"),
        ("ReferringPhysicianName", "MÜLLER", "3"),
        ("ReferringPhysicianName", "arzt^mull", "3"),
        ("PatientID", "A", ""),
        ("StudyDescription", "CT", ""),
    ],
)
def test_fuzzy_matching(filled, name, value, found):
    """dicomweb.md Q-27; other keys than names are matched as ever."""
    assert studies(filled, ("fuzzymatching", "true"), (name, value)) == found


@pytest.fixture(scope="module")
def sounding(new_index_url):
    url = new_index_url()
    upgrade(url)
    engine = make_engine(url)
    names = ["Meyer^Catherine", "Schmidt^Jörg", "O'Brien^Stephen", "Гусева^Анна", "X1^MR1"]
    for number, name in enumerate(names, 1):
        study = {"ReferringPhysicianName": "Fischer^Thomas"} if number == 1 else {}
        one = simple(f"1.{number}", name, patient={"PatientName": name}, study=study)
        index_image_set(engine, one, version=1)
    yield engine
    engine.dispose()


@pytest.mark.parametrize(
    ("name", "value", "found", "plain"),
    [
        ("PatientName", "Maier", "1", ""),
        ("PatientName", "*mayer*", "1", ""),
        ("PatientName", "kathryn meier", "1", ""),
        ("PatientName", "schmitt", "2", ""),
        ("PatientName", "Schmitt^Jo", "2", ""),
        ("PatientName", "smith", "", ""),
        ("PatientName", "obrian", "3", ""),
        ("PatientName", "steven o", "3", ""),
        ("PatientName", "may", "", ""),
        ("PatientName", "mey", "1", "1"),
        ("PatientName", "mr", "1 5", "5"),
        ("PatientName", "x", "5", "5"),
        ("PatientName", "гусев", "4", "4"),
        ("PatientName", "гусива", "", ""),
        ("PatientName", "ma?er", "", ""),
        ("PatientName", "???", "1 2 3 4 5", "1 2 3 4 5"),
        ("PatientName", "?r?", "5", "5"),
        ("PatientName", "fischer", "", ""),
        ("ReferringPhysicianName", "fisher tomas", "1", ""),
        ("PatientName", '""', "", ""),
        ("PatientName", "", "1 2 3 4 5", "1 2 3 4 5"),
    ],
)
def test_fuzzy_matching_by_sound(sounding, name, value, found, plain):
    """dicomweb.md Q-27: as ever, or by the sound of a whole word, where the server says so."""
    pairs = [("fuzzymatching", "true"), (name, value)]
    assert studies(sounding, *pairs) == plain
    result = search(sounding, parse_query("study", pairs, phonetic=True))
    assert " ".join(uid[2:] for uid in sorted(uids(result, "study"))) == found
    unfuzzy = search(sounding, parse_query("study", pairs[1:], phonetic=True)).rows
    assert unfuzzy == search(sounding, parse_query("study", pairs[1:])).rows


def test_repeated_names_are_alternatives_in_fuzzy_matching_too(filled):
    names = [("PatientName", "john"), ("PatientName", "tarou")]
    assert studies(filled, ("fuzzymatching", "true"), *names) == "1 4"
    assert studies(filled, ("fuzzymatching", "false"), *names) == ""
