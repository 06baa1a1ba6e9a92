"""Keys without a column are matched over the stored attributes (dicomweb.md Q-3, Q-23)."""

import itertools

import pytest

from dicomweb_gateway.errors import InvalidRequest, PayloadTooLarge
from dicomweb_gateway.index import stored_search
from dicomweb_gateway.index.engine import make_engine
from dicomweb_gateway.index.indexer import index_image_set
from dicomweb_gateway.index.migrate import upgrade
from dicomweb_gateway.qido.parse import parse_query
from tests.index.documents import document, instance
from tests.index.searching import search

CODES = [{"CodeValue": "A-1", "CodingSchemeDesignator": "99X"}, {"CodeValue": "B-2"}]
REQUESTS = [
    {"ScheduledProcedureStepID": "S1", "RequestedProcedureDescription": "Chest"},
    {
        "ScheduledProcedureStepID": "S2",
        "RequestedProcedureDescription": "Head",
        "RequestedProcedureCodeSequence": [{"CodeValue": "C-3", "CodeMeaning": "head"}],
    },
]
STUDIES = {
    "1.1": ({"PatientWeight": "71.50", "PatientAge": "040Y"}, {"ProcedureCodeSequence": CODES}),
    "1.2": (
        {"PatientWeight": "0.715e2", "EthnicGroup": "x"},
        {"AdditionalPatientHistory": "Compare, please"},
    ),
    "1.3": ({"PatientWeight": "heavy"}, {"OperatorsName": "Doe^J", "StudyDate": "20240103"}),
    "1.4": ({"PatientWeight": ["70", "80"]}, {"PhysiciansOfRecord": ["Roe^A", "Müller^B"]}),
    "1.5": ({"PatientWeight": None}, {}),
}
SERIES = {
    "1.1": {"SoftwareVersions": "B30f", "RequestAttributesSequence": REQUESTS},
    "1.2": {"SoftwareVersions": ["B40f", "2"], "RequestAttributesSequence": REQUESTS[:1]},
    "1.3": {"PatientPosition": "HFS"},
    "1.4": {},
    "1.5": {"PatientPosition": "FFS"},
}


@pytest.fixture(scope="module")
def engine(new_index_url):
    url = new_index_url()
    upgrade(url)
    made = make_engine(url)
    for uid, (patient, study) in STUDIES.items():
        series = f"{uid}.1"
        slices = {
            f"{series}.{n}": instance(
                f"{series}.{n}",
                InstanceNumber=str(n),
                SliceThickness=str(n / 2),
                ImageComments=f"slice {n}",
                ReferencedImageSequence=[{"ReferencedSOPInstanceUID": f"1.9.{n}"}],
            )
            for n in (1, 2)
        }
        one = document(uid, {series: slices}, name=uid, patient=patient, study=study, series_tags=SERIES[uid])
        index_image_set(made, one, version=1)
    yield made
    made.dispose()


def ask(engine, level, text, **options):
    pairs = [tuple(pair.split("=", 1)) for pair in text.split("&")]
    return search(engine, parse_query(level, pairs, **options))


def uids(result, level):
    key = {"study": "0020000D", "series": "0020000E", "instance": "00080018"}[level]
    return [row[key]["Value"][0] for row in result.rows]


def found(engine, level, text, **options):
    """The UIDs without their first component, in order of the UIDs."""
    return " ".join(sorted(uid[2:] for uid in uids(ask(engine, level, text, **options), level)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PatientWeight=71.5", "1 2"),
        ("00101030=+71.500", "1 2"),
        ("PatientWeight=70", "4"),
        ("PatientWeight=80", "4"),
        ("PatientWeight=71", ""),
        ("PatientWeight=70&PatientWeight=71.5", "1 2 4"),
        ("PatientWeight=71.5&PatientID=P1&StudyInstanceUID=1.2,1.3", "2"),
        ("PatientWeight=71.5&ModalitiesInStudy=MR", ""),
        ("PatientWeight=", "1 2 3 4 5"),
        ('PatientWeight=""&emptyvaluematching=true', "3 5"),
        ('PatientWeight=""&PatientWeight=70&emptyvaluematching=true', "3 4 5"),
        ("PatientAge=040Y", "1"),
        ("PatientAge=40Y", ""),
        ("AdditionalPatientHistory=Compare*", "2"),
        ("AdditionalPatientHistory=*please", "2"),
        ("AdditionalPatientHistory=compare*", ""),
        ("AdditionalPatientHistory=Compare", ""),
        ("EthnicGroup=x,y", "2"),
        ("PhysiciansOfRecord=müller*", "4"),
        ("PhysiciansOfRecord=muller&fuzzymatching=true", "4"),
        ("ProcedureCodeSequence.CodeValue=B-2", "1"),
        ("ProcedureCodeSequence.CodeValue=B-2&ProcedureCodeSequence.CodingSchemeDesignator=99X", ""),
        ("ProcedureCodeSequence.CodeValue=A-1&ProcedureCodeSequence.CodingSchemeDesignator=99X", "1"),
        ("00081032.00080100=?-?", "1"),
    ],
)
def test_a_study_key(engine, text, expected):
    assert found(engine, "study", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SoftwareVersions=B30f", "1.1"),
        ("SoftwareVersions=B40f", "2.1"),
        ("SoftwareVersions=b30f", ""),
        ("SoftwareVersions=B*", "1.1 2.1"),
        ("PatientPosition=HFS,FFS", "3.1 5.1"),
        ("PatientPosition=?FS&PatientWeight=heavy", None),
        ("PatientPosition=?FS&PatientWeight=70", ""),
        ("RequestAttributesSequence.RequestedProcedureDescription=Chest", "1.1 2.1"),
        ("RequestAttributesSequence.RequestedProcedureDescription=Head", "1.1"),
        (
            "RequestAttributesSequence.RequestedProcedureDescription=Head"
            "&RequestAttributesSequence.ScheduledProcedureStepID=S1",
            "",
        ),
        (
            "RequestAttributesSequence.RequestedProcedureDescription=Head"
            "&RequestAttributesSequence.ScheduledProcedureStepID=S2",
            "1.1",
        ),
        ("RequestAttributesSequence.RequestedProcedureCodeSequence.CodeValue=C-3", "1.1"),
        ("RequestAttributesSequence.RequestedProcedureCodeSequence.CodeValue=C-4", ""),
        (
            "RequestAttributesSequence.RequestedProcedureCodeSequence.CodeValue=C-3"
            "&RequestAttributesSequence.ScheduledProcedureStepID=S1",
            "",
        ),
    ],
)
def test_a_series_key(engine, text, expected):
    if expected is None:
        with pytest.raises(InvalidRequest, match="PatientWeight"):
            ask(engine, "series", text)
    else:
        assert found(engine, "series", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SliceThickness=0.50&PatientID=P1", "1.1.1 2.1.1 3.1.1 4.1.1 5.1.1"),
        ("SliceThickness=1&SoftwareVersions=B*", "1.1.2 2.1.2"),
        ("ImageComments=slice 2&PatientWeight=70", "4.1.2"),
        ("ReferencedImageSequence.ReferencedSOPInstanceUID=1.9.1&PatientWeight=80", "4.1.1"),
        ("InstanceNumber=2&ImageComments=slice 1", ""),
    ],
)
def test_an_instance_key(engine, text, expected):
    assert found(engine, "instance", text) == expected


def test_below_a_study_and_a_series(engine):
    scope = {"study_uid": "1.2"}
    assert found(engine, "instance", "SliceThickness=1", **scope) == "2.1.2"
    assert found(engine, "instance", "SliceThickness=1", **scope, series_uid="1.2.1") == "2.1.2"
    assert found(engine, "instance", "SliceThickness=1", **scope, series_uid="1.3.1") == ""
    assert found(engine, "series", "SoftwareVersions=B*", **scope) == "2.1"


@pytest.mark.parametrize(
    "text", ["PatientWeight=60-80", "PatientWeight=7*", "PatientAge=0*", "PixelData=1", "00091001=x"]
)
def test_what_cannot_be_matched_is_refused(engine, text):
    with pytest.raises(InvalidRequest, match=text.split("=")[0]):
        ask(engine, "instance", text)


@pytest.mark.parametrize("portion", [1, 2, 3, 250])
def test_pages_part_the_whole_answer(engine, monkeypatch, portion):
    monkeypatch.setattr(stored_search, "_FIRST_PORTION", portion)
    monkeypatch.setattr(stored_search, "_LARGEST_PORTION", portion)
    everything = uids(ask(engine, "instance", "ImageComments=slice*"), "instance")
    assert everything == [f"1.{study}.1.{n}" for n in (1, 2) for study in range(1, 6)]
    for limit, offset in itertools.product((0, 1, 3, 20), (0, 1, 4, 9, 10, 11)):
        page = ask(engine, "instance", f"ImageComments=slice*&limit={limit}&offset={offset}&totalcount=true")
        assert uids(page, "instance") == everything[offset : offset + limit]
        assert page.total == 10
        assert page.remaining == max(0, 10 - offset - len(page.rows))


def test_the_order_is_that_which_was_asked_for(engine):
    ordered = ask(
        engine, "instance", "ImageComments=slice*&orderby=-InstanceNumber,-StudyInstanceUID&limit=3"
    )
    assert uids(ordered, "instance") == ["1.5.1.2", "1.4.1.2", "1.3.1.2"]


@pytest.mark.parametrize(
    ("text", "total", "remaining"),
    [
        ("limit=2", None, 0),
        ("limit=2&totalcount=true", 10, 8),
        ("limit=10", 10, 0),
        ("limit=20&offset=9", 10, 0),
        ("", 10, 0),
    ],
)
def test_totals_are_paid_for_where_they_are_asked_for(engine, text, total, remaining):
    result = ask(engine, "instance", "&".join(filter(None, ["ImageComments=slice*", text])))
    assert (result.total, result.remaining) == (total, remaining)


def test_the_servers_own_cap_tells_what_is_left(engine):
    result = ask(engine, "instance", "ImageComments=slice*", max_results=4)
    assert (len(result.rows), result.total, result.remaining) == (4, 10, 6)
    assert result.warnings[0] == "There are 6 additional results that can be requested"


def test_too_many_matches_are_refused_where_that_is_set(engine):
    with pytest.raises(PayloadTooLarge, match="more than 9 matches"):
        ask(engine, "instance", "ImageComments=slice*", hard_max_results=9)
    assert ask(engine, "instance", "ImageComments=slice*", hard_max_results=10).total == 10


@pytest.fixture
def short(monkeypatch):
    """No more than 4 rows may be looked at, two at once."""
    monkeypatch.setattr(stored_search, "_FIRST_PORTION", 2)
    monkeypatch.setattr(stored_search, "_LARGEST_PORTION", 2)
    monkeypatch.setattr(stored_search, "MOST_EXAMINED", 4)


@pytest.mark.usefixtures("short")
def test_more_than_may_be_looked_at_is_refused(engine):
    for text in ("ImageComments=slice 2", "ImageComments=slice*&limit=3&totalcount=true"):
        with pytest.raises(PayloadTooLarge, match="narrow the query"):
            ask(engine, "instance", text)
    # what never held the attribute, or is left out by another key, is not looked at
    assert found(engine, "instance", "ImageComments=slice 2&StudyInstanceUID=1.1") == "1.1.2"
    assert found(engine, "study", "AdditionalPatientHistory=Compare*") == "2"


@pytest.mark.usefixtures("short")
def test_a_page_that_is_full_before_is_answered(engine):
    page = ask(engine, "instance", "ImageComments=slice*&limit=3")
    assert uids(page, "instance") == ["1.1.1.1", "1.2.1.1", "1.3.1.1"]
