"""Searches that name studies, by who does not see all: documents tell of some, our tables of the others."""

import orjson
import pytest

from dicomweb_gateway.imagesets.metadata import parse_document
from dicomweb_gateway.index.index_search import IndexSearch
from dicomweb_gateway.index.indexer import index_image_set
from dicomweb_gateway.index.migrate import upgrade
from dicomweb_gateway.qido.parse import parse_query
from dicomweb_gateway.sight import Grant, Sight
from tests.aws_index.conftest import raw, slices

CT = Sight((Grant(None, (("Modality", ("CT",)),)),))
OT = {"Modality": "OT"}


@pytest.fixture
def asked(aws_url, image_sets, proxy_engine):
    """`asked(level, text)`: the UIDs that a search finds, over what both indexers have read."""
    upgrade(aws_url)
    ours = [
        raw("1.2", "known", slices("1.2.1", 1, 2), study={"StudyDate": "20240103"}),
        raw("1.4", "grows", slices("1.4.1", 1)),
        raw("1.5", "both", slices("1.5.1", 1), study={"StudyDate": "20240102"}),
    ]
    for document in ours:
        image_sets.put(document, indexed=False)
        index_image_set(image_sets._administrator, parse_document(orjson.dumps(document)), version=4)
    image_sets.put(raw("1.2", "hidden", slices("1.2.2", 1), "1.2.2", series=OT))
    image_sets.put(raw("1.4", "grows", slices("1.4.1", 1, 2), series=OT))
    image_sets.put(raw("1.5", "new", slices("1.5.2", 1, 2), "1.5.2", study={"StudyDate": "20240102"}))
    search = IndexSearch(proxy_engine, source=image_sets, latest_seconds=0).seen_by(CT)

    def ask(level, text):
        pairs = [tuple(one.split("=", 1)) for one in [*text.split("&"), "totalcount=true"]]
        found = search(parse_query(level, pairs))
        tag = {"study": "0020000D", "series": "0020000E", "instance": "00080018"}[level]
        return [row[tag]["Value"][0] for row in found.rows], found.total

    return ask


def test_documents_tell_only_of_studies_of_which_something_is_unread_that_is_shown(asked, image_sets):
    assert asked("study", "StudyInstanceUID=1.2,1.5") == (["1.2", "1.5"], 2)
    # as our tables say until index sync: it is no matter of what is hidden beside it
    image_sets.delete("known")
    assert asked("study", "StudyInstanceUID=1.2") == (["1.2"], 1)
    assert asked("study", "StudyInstanceUID=1.2,1.5") == (["1.2", "1.5"], 2)
    assert asked("study", "StudyInstanceUID=1.2,1.5&limit=1&offset=1") == (["1.5"], 2)
    assert asked("study", "StudyInstanceUID=1.2,1.5&orderby=StudyDate&limit=1&offset=1") == (["1.2"], 2)
    assert asked("series", "StudyInstanceUID=1.2,1.5") == (["1.2.1", "1.5.1", "1.5.2"], 3)
    wanted = ["1.2.1.1", "1.5.1.1", "1.5.2.1", "1.2.1.2", "1.5.2.2"]
    for at, uid in enumerate(wanted):
        assert asked("instance", f"StudyInstanceUID=1.2,1.5&limit=1&offset={at}") == ([uid], 5)


def test_what_a_newer_version_hides_is_hidden(asked):
    assert asked("study", "StudyInstanceUID=1.4") == ([], 0)
    assert asked("study", "StudyInstanceUID=1.2,1.4") == (["1.2"], 1)
