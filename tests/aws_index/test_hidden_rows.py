"""What is hidden and what never was there give equal answers, though the Lambda keeps one row for both.

One index holds what a caller may see; the other beside it another patient under the same Study and Series
Instance UIDs, a series of the same study that is hidden, hidden studies, one of them of a patient with the
same PatientID and issuer, all written later and primary, so that the Lambda's rows speak of them; one has
since become another patient's, which leaves no trace in them. What is hidden has other attributes than the
caller's rules ask for, or lies in another data store.
"""

from contextlib import ExitStack, contextmanager
from itertools import count
from typing import NamedTuple

import orjson
import pytest
from sqlalchemy import create_engine

from dicomweb_gateway.dicom.json_model import dumps
from dicomweb_gateway.errors import GatewayBusy, GatewayError
from dicomweb_gateway.imagesets.metadata import parse_document
from dicomweb_gateway.index import unread
from dicomweb_gateway.index.engine import make_engine
from dicomweb_gateway.index.index_search import IndexSearch
from dicomweb_gateway.index.indexer import index_image_set
from dicomweb_gateway.index.migrate import upgrade
from dicomweb_gateway.index.reader import IndexReader
from dicomweb_gateway.qido.parse import parse_query
from dicomweb_gateway.sight import EVERYTHING, Grant, Sight
from tests.aws_index.conftest import ImageSets, proxy_of, raw, slices
from tests.databases import drop_database, new_aws_database
from tests.index.documents import STORE, hex_id

NORTH = {"IssuerOfPatientID": "north", "PatientName": "Seen^One"}
SECRET = {"PatientID": "P2", "PatientName": "SECRET^Two", "PatientComments": "SECRET"}
SAME_ID = {**NORTH, "PatientName": "SECRET^Same", "PatientComments": "SECRET", "PatientSex": "O"}
CT_OF_NORTH = Sight((Grant(None, (("IssuerOfPatientID", ("north",)), ("Modality", ("CT",)))),))
OTHER_STORE = "f" * 32
SIGHTS = {"by attributes": CT_OF_NORTH, "by data store": EVERYTHING.within(frozenset({STORE}))}
BARE = {hex_id("v2"), hex_id("v3"), hex_id("h3")}
"""Those of which the Lambda wrote no instances (flaw 7)."""
HIDDEN = ("h1", "h2", "h3", "h4", "h5", "h6")


def seen(number):
    """Image sets that are shown."""
    return [
        raw("1.2", "v1", slices("1.2.1", 1, 2), patient=NORTH, series={"SeriesNumber": "3"}),
        raw("1.2", "v2", slices("1.2.4", 1), "1.2.4", patient=NORTH, series={"SeriesNumber": "4"}),
        raw("1.3", "v3", slices("1.3.1", 1), patient=NORTH, study={"StudyDate": "20230101"}),
    ][number]


def hidden(kind, place):
    """Image sets that are not; the index of our own gives an instance to one image set only (Q-52)."""
    shared = (9,) if kind == "sqlite" else (1, 9)
    words = {"StudyDescription": "SECRET", "StudyDate": "20250505", "AccessionNumber": "SECRET"}
    series = {"SeriesDescription": "SECRET", "Modality": "OT", "SeriesNumber": "1"}
    if place == "by data store":
        return [{**one, "DatastoreID": OTHER_STORE} for one in hidden(kind, "by attributes")]
    return [
        raw("1.2", "h1", slices("1.2.2", 1), "1.2.2", patient=SECRET, study=words, series=series),
        raw("1.2", "h2", slices("1.2.1", *shared), patient=SECRET, study=words, series=series),
        raw("1.2", "h3", slices("1.2.3", 1), "1.2.3", patient=NORTH, study=words, series=series),
        raw("1.9", "h4", slices("1.9.1", 1), patient=SECRET, study=words),
        raw("1.8", "h5", slices("1.8.1", 1), patient=SAME_ID, study=words, series=series),
        raw("1.7", "h6", slices("1.7.1", 1), patient=SAME_ID, study=words, series=series),
        raw("1.7", "h6", slices("1.7.1", 1), patient=SECRET, study=words, series=series),
    ]


KINDS = {
    # who has indexed: a study that is always there, what is shown, what is hidden
    "sqlite": ("ours", "ours", "ours"),
    "lambda alone": ("lambda", "lambda", "lambda"),
    "shown by ours": ("ours", "ours", "lambda"),
    "hidden by ours": ("ours", "lambda", "ours"),
}


class Place(NamedTuple):
    search: IndexSearch
    reader: IndexReader

    def seen_by(self, sight):
        return Place(self.search.seen_by(sight), self.reader.seen_by(sight))


@contextmanager
def made(request, kind, folder, hides=None):
    """An index with what `hides` hides, None: with nothing that anything hides."""
    always, shown, other = KINDS[kind]
    steps = [(always, raw("1.5", "o", slices("1.5.1", 1), patient=NORTH))]
    steps += [(shown, seen(number)) for number in range(3)]
    steps += [(other, one) for one in (hidden(kind, hides) if hides else ())]
    with ExitStack() as stack:
        if kind == "sqlite":
            url = f"sqlite:///{folder}/index.db"
        else:
            server = request.getfixturevalue("mariadb_server")
            name, url = new_aws_database(server)
            stack.callback(drop_database, server, name)
        if kind != "lambda alone":
            upgrade(url)
        writer = create_engine(url) if kind != "sqlite" else make_engine(url)
        stack.callback(writer.dispose)
        image_sets, versions = ImageSets(writer), count(4)
        for who, document in steps:
            has_rows = document["ImageSetID"] not in BARE
            image_sets.put(document, indexed=who == "lambda", instance_level=has_rows)
            is_hidden = document["ImageSetID"] in set(map(hex_id, HIDDEN))
            image_sets.primary |= {document["ImageSetID"]} if is_hidden else set()
            if who == "ours":
                parsed = parse_document(orjson.dumps(document))
                version = next(versions) if is_hidden else 4
                index_image_set(writer, parsed, version=version, is_primary=is_hidden)
        engine = writer if kind == "sqlite" else stack.enter_context(proxy_of(server, url))
        source = None if kind == "sqlite" else image_sets
        yield Place(IndexSearch(engine, source=source), IndexReader(engine, 60, source, 60))


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module", params=SIGHTS)
def hides(request):
    return request.param


@pytest.fixture(scope="module")
def without(request, kind, tmp_path_factory):
    with made(request, kind, tmp_path_factory.mktemp("bare")) as place:
        yield place


@pytest.fixture(scope="module")
def places(request, kind, hides, without, tmp_path_factory):
    """(with what is hidden, without)."""
    with made(request, kind, tmp_path_factory.mktemp("hidden"), hides) as place:
        yield place.seen_by(SIGHTS[hides]), without.seen_by(SIGHTS[hides])


SEARCHES = [
    *((level, "", {}) for level in ("study", "series", "instance")),
    *((level, "", {"study_uid": "1.2"}) for level in ("series", "instance")),
    ("instance", "", {"study_uid": "1.2", "series_uid": "1.2.1"}),
    ("instance", "", {"study_uid": "1.2", "series_uid": "1.2.2"}),
    *((level, "", {"study_uid": uid}) for level in ("series", "instance") for uid in ("1.3", "1.9")),
    *(
        (level, "StudyInstanceUID=1.2,1.3,1.9&includefield=all", {})
        for level in ("study", "series", "instance")
    ),
    *(
        ("study", f"StudyInstanceUID=1.2&{text}", {})
        for text in (
            "PatientID=P2",
            "PatientName=SECRET*",
            "PatientName=secr&fuzzymatching=true",
            "StudyDescription=SECRET",
            "AccessionNumber=SECRET",
            "StudyDate=20250505",
            "StudyDate=20240101",
            "ModalitiesInStudy=OT",
            "ModalitiesInStudy=CT",
            "NumberOfStudyRelatedSeries=2",
            "NumberOfStudyRelatedInstances=3",
            "PatientComments=SECRET&includefield=PatientComments",
        )
    ),
    ("series", "StudyInstanceUID=1.2&SeriesDescription=SECRET", {}),
    ("series", "Modality=OT", {"study_uid": "1.2"}),
    ("series", "NumberOfSeriesRelatedInstances=2", {"study_uid": "1.2"}),
    ("series", "orderby=-SeriesNumber&limit=1", {"study_uid": "1.2"}),
    ("series", "limit=1&offset=1&includefield=all", {"study_uid": "1.2"}),
    ("instance", "limit=2&offset=1&includefield=all", {"study_uid": "1.2"}),
    ("study", "orderby=StudyDate&limit=1", {}),
    *(("study", f"limit={limit}&offset={offset}", {}) for limit, offset in ((1, 1), (1, 2), (2, 1), (2, 3))),
    ("study", "orderby=-StudyDescription,PatientName&limit=1&offset=1", {}),
    ("study", "PatientName=SECRET*", {}),
    ("study", "PatientName=Seen*", {}),
    ("study", "PatientSex=O", {}),
    ("study", "ModalitiesInStudy=OT", {}),
    ("study", "ModalitiesInStudy=CT", {}),
    ("study", "includefield=all&StudyDate=20230101-20250101", {}),
    ("series", "limit=2&offset=1&includefield=all", {}),
    ("instance", "orderby=SOPInstanceUID&limit=2&offset=1", {}),
    ("instance", "InstanceNumber=1&ModalitiesInStudy=CT", {}),
]


def asked(place, level, text, scope):
    pairs = [tuple(one.split("=", 1)) for one in text.split("&") if one]
    return place.search(parse_query(level, [*pairs, ("totalcount", "true")], **scope))


@pytest.mark.parametrize(("level", "text", "scope"), SEARCHES)
def test_searches_tell_nothing_of_what_is_hidden(places, level, text, scope):
    full, bare = (asked(place, level, text, scope) for place in places)
    assert full == bare
    assert b"SECRET" not in dumps(full.rows)


def test_what_is_shown_is_found(places):
    full, _ = places
    assert tuple(asked(full, one, "", {}).total for one in ("study", "series", "instance")) == (3, 4, 5)
    (row,) = asked(full, "study", "StudyInstanceUID=1.2", {}).rows
    told = [row[tag]["Value"] for tag in ("00100010", "00080020", "00080061", "00201206", "00201208")]
    assert told == [[{"Alphabetic": "Seen^One"}], ["20240101"], ["CT"], [2], [3]]
    rows = asked(full, "series", "", {"study_uid": "1.2"}).rows
    assert [one["0020000E"]["Value"] for one in rows] == [["1.2.1"], ["1.2.4"]]
    assert asked(full, "instance", "", {"study_uid": "1.3"}).total == 1
    assert full.reader.study_series("1.2") == ["1.2.1", "1.2.4"]
    assert full.reader.has_store(STORE)


def test_what_takes_too_long_to_look_for_is_refused(places, kind, monkeypatch):
    """A shorter list would look like a whole one."""
    full, bare = places
    if kind not in ("lambda alone", "hidden by ours"):
        assert asked(full, "study", "", {}).total == 3
        return
    for name, value in (("_LOOKING", -1), ("_MOST_LOOKED_AT", 1)):
        with monkeypatch.context() as patch:
            patch.setattr(unread, name, value)
            for place in places:
                with pytest.raises(GatewayBusy, match="index sync"):
                    asked(place, "study", "", {})
                assert asked(place, "study", "StudyInstanceUID=1.2", {}).total == 1
    assert asked(full, "study", "", {}) == asked(bare, "study", "", {})


def looked_up(ask, *path):
    try:
        found = ask(*path)
    except GatewayError as error:
        return type(error), str(error)
    return list(found) if hasattr(found, "__next__") else found


def looked_at(reader):
    """All that look-ups give, by what was asked."""
    asks = [reader.image_sets, reader.outlines, reader.last_change]
    found = {
        "counts": reader.counts(),
        "store": reader.has_store(STORE),
        "other": reader.has_store(OTHER_STORE),
    }
    for study in ("1.2", "1.3", "1.7", "1.8", "1.9"):
        for ask in (*asks, reader.study_series, reader.study_instances, reader.first_series_with_images):
            found[ask.__name__, study] = looked_up(ask, study)
        for series in (f"{study}.{number}" for number in range(1, 5)):
            for ask in (*asks, reader.series_instances):
                found[ask.__name__, series] = looked_up(ask, study, series)
            for uid in (f"{series}.1", f"{series}.9"):
                found[uid] = looked_up(reader.instance, study, series, uid)
    for name in ("v1", *HIDDEN):
        for store in (STORE, OTHER_STORE):
            found[name, store] = looked_up(reader.image_set_shown, store, hex_id(name))
    return found


def test_look_ups_tell_nothing_of_what_is_hidden(places):
    full, bare = (looked_at(place.reader) for place in places)
    assert full == bare
    assert full["study_series", "1.2"] == ["1.2.1", "1.2.4"]


def test_a_search_that_names_no_study_is_refused_where_it_would_read_too_much(places, kind, monkeypatch):
    """Only what is shown counts, of that what our tables do not know."""
    unread = {"lambda alone": 4, "hidden by ours": 3}.get(kind, 0)
    for text in ("", "StudyInstanceUID=" + ",".join(f"1.{n}" for n in range(102))):
        for most in (unread, max(0, unread - 1)):
            monkeypatch.setattr("dicomweb_gateway.index.document_search.MOST_LISTED", most)
            full, bare = (looked_up(asked, place, "study", text, {}) for place in places)
            assert full == bare
            if unread and most < unread:
                assert "StudyInstanceUID" in full[1]
            else:
                assert full.total == 3
    assert asked(places[0], "study", "StudyInstanceUID=1.2", {}).total == 1
