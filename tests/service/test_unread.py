"""What is said of image sets of which documents must tell who does not see everything."""

import orjson
import pytest
from sqlalchemy import create_engine

from dicomweb_gateway.access.rules import AccessRules, Rule
from dicomweb_gateway.imagesets.metadata import parse_document
from dicomweb_gateway.index.indexer import index_image_set
from dicomweb_gateway.index.migrate import upgrade
from dicomweb_gateway.service.unread import unread_by_narrow
from tests.aws_index.conftest import raw, slices
from tests.aws_index.indexer import put_image_set
from tests.index.documents import STORE

PLAIN = AccessRules(("/aetitle",), (Rule(groups=("a",)),))
NARROW = {
    "attributes": AccessRules(("/aetitle",), (Rule(groups=("a",)), Rule(only={"Modality": ("CT",)}))),
    "data stores": AccessRules(("/aetitle",), (Rule(data_stores=(STORE,)),)),
    "a base path": AccessRules(("/aetitle",), None, {"/aetitle": frozenset({STORE})}),
}


@pytest.mark.parametrize("name", NARROW)
def test_it_is_said_until_index_sync_has_read_them(aws_url, name):
    rules = NARROW[name]
    assert unread_by_narrow(rules, None, "sqlite:////nowhere/index.db") is None
    assert unread_by_narrow(rules, None, aws_url) is None
    writer, document = create_engine(aws_url), raw("1.2", "a", slices("1.2.1", 1))
    with writer.begin() as connection:
        put_image_set(connection, document)
    assert "not read 1 image sets" in unread_by_narrow(rules, None, aws_url)
    for hides_nothing in (PLAIN, AccessRules(("/aetitle",))):
        assert unread_by_narrow(hides_nothing, None, aws_url) is None
        assert unread_by_narrow(hides_nothing, frozenset({STORE}), aws_url) is None
        assert "not read 1 image sets" in unread_by_narrow(hides_nothing, frozenset({"f" * 32}), aws_url)
    upgrade(aws_url)
    assert "not read 1 image sets" in unread_by_narrow(rules, None, aws_url)
    index_image_set(writer, parse_document(orjson.dumps(document)), version=1)
    assert unread_by_narrow(rules, None, aws_url) is None
    writer.dispose()
