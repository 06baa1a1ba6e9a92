"""The small index of documents: each thing once, and no more memory than is counted."""

from datetime import UTC, datetime

import pytest

from dicomweb_gateway.errors import GatewayBusy
from dicomweb_gateway.imagesets.store import ImageSetRef
from dicomweb_gateway.index import document_search
from dicomweb_gateway.index.aws_reader import AwsReader
from dicomweb_gateway.index.document_index import DocumentIndex
from dicomweb_gateway.index.document_search import DocumentSearch
from dicomweb_gateway.index.engine import memory_engine
from dicomweb_gateway.index.gone import GoneSets
from dicomweb_gateway.index.tables import metadata
from dicomweb_gateway.qido.parse import parse_query
from dicomweb_gateway.sight import Grant, Sight
from tests.index.documents import document, instance

CT = Sight((Grant(None, (("Modality", ("CT",)),)),))


def of_patient(patient_id, numbers):
    """An image set of one study and series, whoever the patient is."""
    slices = {f"1.2.1.{number}": instance(f"1.2.1.{number}") for number in numbers}
    about = {"patient": {"PatientID": patient_id}, "series_tags": {"Modality": "CT"}}
    return document("1.2", {"1.2.1": slices}, name=patient_id, **about)


def put(index, made, day):
    ref = ImageSetRef(made.datastore_id, made.image_set_id, "1")
    index.put(ref, made, True, datetime(2024, 1, day))


def test_an_instance_that_two_patients_share_is_found_once_and_as_the_better_image_set_has_it():
    """Q-52: both are shown to who asks, and no answer has two things of one name."""
    index = DocumentIndex(CT, UTC)
    put(index, of_patient("P1", (1, 2)), 1)
    put(index, of_patient("P2", (1, 3)), 2)
    query = parse_query("instance", [("totalcount", "true"), ("includefield", "PatientID")], study_uid="1.2")
    found = index.search(query)
    assert found.total == 3
    told = {row["00080018"]["Value"][0][-1]: row["00100020"]["Value"][0] for row in found.rows}
    assert told == {"1": "P2", "2": "P1", "3": "P2"}
    assert len(found.rows) == 3
    (series,) = index.search(parse_query("series", [], study_uid="1.2")).rows
    assert series["00201209"]["Value"] == [3]


def test_it_says_how_much_memory_it_takes():
    index = DocumentIndex(CT, UTC)
    empty = index.size
    assert empty >= 1 << 20
    put(index, of_patient("P1", range(1, 101)), 1)
    assert index.size > empty + 50_000


@pytest.fixture
def search():
    """Over an index that the Lambda alone has filled, with nothing."""
    engine = memory_engine()
    metadata.create_all(engine)
    # what there is none of is asked of nobody
    reader = AwsReader(engine, None, 10, GoneSets(), CT)
    yield DocumentSearch(engine, reader, most_bytes=3 << 20)
    engine.dispose()


def asked(search, *studies):
    made = search.of_studies(studies, UTC, ours=False)
    return made.search(parse_query("study", [])).rows


def test_searches_for_ever_new_studies_take_bounded_memory(search):
    for number in range(5):
        assert asked(search, f"1.{number}") == []
    assert 1 <= len(search._kept._entries) <= 3


def test_more_searches_at_once_wait_for_their_turn(search, monkeypatch):
    monkeypatch.setattr(document_search, "_PATIENCE", 0)
    with search._turns, search._turns, pytest.raises(GatewayBusy):
        asked(search, "1.1")
    assert asked(search, "1.1") == []
