"""A prefix pattern finds what begins with it, whatever stands behind, on every database."""

import pytest

from dicomweb_gateway.index.engine import make_engine
from dicomweb_gateway.index.indexer import index_image_set
from dicomweb_gateway.index.migrate import upgrade
from dicomweb_gateway.qido.parse import parse_query
from tests.index.documents import simple
from tests.index.searching import search

TEXTS = [
    "ab", "abc", "abc d", "abcd", "abc!", "abc~", "abcé", "abc\uffff", "abc\U0001f600", "abc\U0010ffff",
    "abd", "ABC", "ab c", "ab cd", "a*c", "zz", "é", "éa", "e\u0301b", "\U0010ffff", "\U0010ffffx",
]  # fmt: skip


@pytest.fixture(scope="module")
def filled(new_index_url):
    url = new_index_url()
    upgrade(url)
    engine = make_engine(url)
    for number, text in enumerate(TEXTS):
        made = simple(f"1.2.{number}", f"set {number}", study={"StudyDescription": text})
        index_image_set(engine, made, version=1)
    yield engine
    engine.dispose()


@pytest.mark.parametrize(
    "prefix", ["a", "ab", "abc", "ab ", "abc ", "abcé", "é", "z", "\U0010ffff", "abc\uffff"]
)
def test_description_prefix(filled, prefix):
    query = parse_query("study", [("StudyDescription", f"{prefix}*"), ("includefield", "StudyDescription")])
    found = {row["00081030"]["Value"][0] for row in search(filled, query).rows}
    assert found == {text for text in TEXTS if text.startswith(prefix)}
