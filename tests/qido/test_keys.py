import pytest

from dicomweb_gateway.errors import InvalidRequest
from dicomweb_gateway.qido.attributes import ATTRIBUTES, REQUEST_ITEM_ATTRIBUTES, item_attribute
from dicomweb_gateway.qido.expression import IsEmpty, ItemIn, RequestItem
from dicomweb_gateway.qido.keys import MAX_DEPTH, KeyCondition, attribute_of_path, sorted_out

PROCEDURE_CODE, CODE_VALUE, CODE_MEANING = 0x00081032, 0x00080100, 0x00080104
EQUIVALENT_CODE = 0x00080121
REQUEST, STEP, PROCEDURE, ACCESSION = 0x00400275, 0x00400009, 0x00401001, 0x00080050


@pytest.mark.parametrize(
    ("level", "path", "found"),
    [
        ("study", (0x00100020,), ("study", "patientid")),
        ("study", (0x00080060,), ("study", "modality")),
        ("series", (0x00080060,), ("series", "modality")),
        ("study", (0x00101030,), ("study", None)),
        ("study", (PROCEDURE_CODE, CODE_VALUE), ("study", None)),
        ("study", (PROCEDURE_CODE, 0x00080060), ("study", None)),
        ("series", (REQUEST, STEP), ("series", "scheduledprocedurestepid")),
        ("series", (REQUEST, ACCESSION), ("series", None)),
        ("instance", (PROCEDURE_CODE, EQUIVALENT_CODE, CODE_VALUE), ("study", None)),
        ("instance", (0x00081115, REQUEST, STEP), ("instance", None)),
    ],
)
def test_the_attribute_of_a_path(level, path, found):
    attribute = attribute_of_path(level, path, "key")
    assert (attribute.level, attribute.column) == found


@pytest.mark.parametrize(
    ("level", "path"),
    [
        ("study", (REQUEST, STEP)),
        ("series", (0x00081140, 0x00081155)),
        ("series", (REQUEST,)),
        ("series", (REQUEST, 0x00321060, CODE_VALUE)),
        ("series", (REQUEST, 0x00080005)),
        ("series", (REQUEST, 0x00091001)),
        ("series", (REQUEST, 0x00400000)),
        ("series", (0x00091001, CODE_VALUE)),
        ("series", (0x00081199, CODE_VALUE, STEP)),
        ("study", (0x00080063, CODE_VALUE)),
        ("instance", (0x52009230, 0x00089007)),
        ("study", (PROCEDURE_CODE, *[EQUIVALENT_CODE] * (MAX_DEPTH - 1), CODE_VALUE)),
    ],
)
def test_paths_that_cannot_be_matched(level, path):
    with pytest.raises(InvalidRequest, match=r"^key: "):
        attribute_of_path(level, path, "key")


def key(*path):
    attribute = ATTRIBUTES.get(path[0]) if len(path) == 1 else REQUEST_ITEM_ATTRIBUTES.get(path[-1])
    attribute = attribute or item_attribute(path[-1], "series")
    return KeyCondition(path, attribute, IsEmpty(attribute))


def conditions(*keys):
    return tuple(one.condition for one in keys)


def test_columns_and_attributes_part():
    column, stored = key(0x00100020), key(0x00101030)
    assert sorted_out([stored, column]) == (conditions(column), conditions(stored))


def test_request_items_have_columns_as_long_as_no_other_key_is_asked():
    step, procedure = key(REQUEST, STEP), key(REQUEST, PROCEDURE)
    both = conditions(step, procedure)
    assert sorted_out([step, procedure]) == ((RequestItem(both),), ())
    other = key(REQUEST, ACCESSION)
    together = ItemIn((REQUEST,), "series", (*both, other.condition))
    assert sorted_out([step, procedure, other]) == ((), (together,))


def test_keys_of_one_sequence_are_judged_on_one_item_at_every_depth():
    value, meaning = key(PROCEDURE_CODE, CODE_VALUE), key(PROCEDURE_CODE, CODE_MEANING)
    deep = key(PROCEDURE_CODE, EQUIVALENT_CODE, CODE_VALUE)
    deep_too = key(PROCEDURE_CODE, EQUIVALENT_CODE, CODE_MEANING)
    elsewhere = key(0x00081084, CODE_VALUE)
    inner = ItemIn((EQUIVALENT_CODE,), "study", conditions(deep, deep_too))
    expected = (
        ItemIn((PROCEDURE_CODE,), "study", (*conditions(value, meaning), inner)),
        ItemIn((0x00081084,), "study", conditions(elsewhere)),
    )
    assert sorted_out([value, deep, elsewhere, meaning, deep_too]) == ((), expected)


def test_a_lone_deep_key_keeps_its_path():
    deep = key(PROCEDURE_CODE, EQUIVALENT_CODE, CODE_VALUE)
    expected = ItemIn((PROCEDURE_CODE, EQUIVALENT_CODE), "study", conditions(deep))
    assert sorted_out([deep]) == ((), (expected,))
