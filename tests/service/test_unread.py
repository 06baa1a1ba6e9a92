"""What is said of image sets that rules with attributes cannot judge yet."""

import orjson
from sqlalchemy import create_engine

from dicomweb_gateway.access.rules import AccessRules, Rule
from dicomweb_gateway.imagesets.metadata import parse_document
from dicomweb_gateway.index.indexer import index_image_set
from dicomweb_gateway.index.migrate import upgrade
from dicomweb_gateway.service.unread import unread_by_rules
from tests.aws_index.conftest import raw, slices
from tests.aws_index.indexer import put_image_set

PLAIN = AccessRules(("/aetitle",), (Rule(groups=("a",)),))
ONLY = AccessRules(("/aetitle",), (Rule(groups=("a",)), Rule(only={"Modality": ("CT",)})))


def test_it_is_said_until_index_sync_has_read_them(aws_url):
    assert unread_by_rules(ONLY, "sqlite:////nowhere/index.db") is None
    assert unread_by_rules(ONLY, aws_url) is None
    writer, document = create_engine(aws_url), raw("1.2", "a", slices("1.2.1", 1))
    with writer.begin() as connection:
        put_image_set(connection, document)
    assert "not read 1 image sets" in unread_by_rules(ONLY, aws_url)
    assert unread_by_rules(PLAIN, aws_url) is None
    assert unread_by_rules(AccessRules(("/aetitle",)), aws_url) is None
    upgrade(aws_url)
    assert "not read 1 image sets" in unread_by_rules(ONLY, aws_url)
    index_image_set(writer, parse_document(orjson.dumps(document)), version=1)
    assert unread_by_rules(ONLY, aws_url) is None
    writer.dispose()
