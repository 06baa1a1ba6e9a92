"""A prefix pattern finds what begins with it, whatever stands behind, on every database."""

import pytest

from dicomweb_gateway.index.indexer import index_image_set
from dicomweb_gateway.qido.parse import parse_query
from tests.index.documents import simple
from tests.index.searching import search

TEXTS = [
    "ab", "abc", "abc d", "abcd", "abc!", "abc~", "abcé", "abc\uffff", "abc\U0001f600", "abc\U0010ffff",
    "abd", "ABC", "ab c", "ab cd", "a*c", "zz", "é", "éa", "e\u0301b", "\U0010ffff", "\U0010ffffx",
]  # fmt: skip


@pytest.mark.parametrize(
    "prefix", ["a", "ab", "abc", "ab ", "abc ", "abcé", "é", "z", "\U0010ffff", "abc\uffff"]
)
def test_description_prefix(engine, prefix):
    for number, text in enumerate(TEXTS):
        made = simple(f"1.2.{number}", f"set {number}", study={"StudyDescription": text})
        index_image_set(engine, made, version=1)
    query = parse_query("study", [("StudyDescription", f"{prefix}*"), ("includefield", "StudyDescription")])
    found = {row["00081030"]["Value"][0] for row in search(engine, query).rows}
    assert found == {text for text in TEXTS if text.startswith(prefix)}
