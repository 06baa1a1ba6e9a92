"""The data dictionary's lookups (PS3.6; dicomweb.md Q-1)."""

import pytest

from dicomweb_gateway.dicom.dictionary import (
    attribute_of_keyword,
    attribute_of_tag,
    is_private,
    parse_tag,
    tag_of_key,
    tag_text,
)


@pytest.mark.parametrize(
    ("key", "tag"),
    [
        ("PatientName", 0x00100010),
        ("00100010", 0x00100010),
        ("7fe00010", 0x7FE00010),
        ("7FE00010", 0x7FE00010),
        ("00091001", 0x00091001),
        ("patientname", None),
        ("0010001", None),
        ("001000100", None),
        ("0010,0010", None),
        ("0010001٠", None),
        ("", None),
    ],
)
def test_keys_are_keywords_or_eight_hex_digits(key, tag):
    assert tag_of_key(key) == tag


@pytest.mark.parametrize(
    ("tag", "vr", "vm"),
    [
        (0x00100010, "PN", "1"),
        (0x00280106, "US or SS", "1"),
        (0x60000010, "US", "1"),
        (0x60FE3000, "OB or OW", "1"),
        (0x00081140, "SQ", "1"),
    ],
)
def test_rows_of_known_tags_with_repeating_groups_resolved(tag, vr, vm):
    row = attribute_of_tag(tag)
    assert row is not None
    assert (row.tag, row.vr, row.vm) == (tag, vr, vm)


@pytest.mark.parametrize("tag", [0x00091001, 0x60010010, 0x00100011, 0x7FE10010])
def test_tags_that_nobody_knows(tag):
    assert attribute_of_tag(tag) is None


@pytest.mark.parametrize(
    ("keyword", "single"), [("PatientID", True), ("ImageType", False), ("WindowCenter", False)]
)
def test_multiplicity(keyword, single):
    row = attribute_of_keyword(keyword)
    assert row is not None
    assert row.is_single is single


def test_tags_as_text_and_back():
    assert tag_text(0x0020000D) == "0020000D"
    assert parse_tag("0020000d") == 0x0020000D


@pytest.mark.parametrize(("tag", "private"), [(0x00091001, True), (0x00100010, False), (0x7FE10010, True)])
def test_odd_groups_are_private(tag, private):
    assert is_private(tag) is private
