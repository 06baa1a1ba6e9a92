"""Reading single values tolerantly (healthimaging.md 2.3)."""

import pytest

from dicomweb_gateway.imagesets.values import base64_bytes, first_value, integer, text, text_values


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("padded ", "padded"),
        ("1.2.3\0", "1.2.3"),
        (["first ", "second"], "first"),
        ([], None),
        ([""], None),
        ("  ", None),
        (None, None),
        (0, 0),
        ([7], 7),
    ],
)
def test_first_value(value, expected):
    assert first_value({"Key": value}, "Key") == expected


@pytest.mark.parametrize(
    ("written", "data"),
    [("AAEC", b"\0\1\2"), ("AAE=\0", b"\0\1"), ("AAEC \0", b"\0\1\2"), ("AA", None), ("AA\0EC", None)],
)
def test_base64_is_padded_as_other_texts_are(written, data):
    assert base64_bytes(written) == data


def test_a_missing_key_has_no_value():
    assert first_value({}, "Key") is None
    assert text({}, "Key") is None
    assert integer({}, "Key") is None


@pytest.mark.parametrize(
    ("value", "values", "joined"),
    [
        (["ORIGINAL", "PRIMARY", "", "0011 "], ["ORIGINAL", "PRIMARY", "0011"], "ORIGINAL\\PRIMARY\\0011"),
        ("one ", ["one"], "one"),
        (None, [], None),
        ([None, ""], [], None),
        (512, ["512"], "512"),
    ],
)
def test_text_of_scalars_and_arrays(value, values, joined):
    assert text_values({"Key": value}, "Key") == values
    assert text({"Key": value}, "Key") == joined


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1 ", 1),
        (1, 1),
        ("+7", 7),
        ("3.0", 3),
        (70.0, 70),
        ("9007199254740993", 9007199254740993),
        (1.5, None),
        (["12"], 12),
        ("1.5", None),
        ("abc", None),
        ("NaN", None),
        ("inf", None),
        (None, None),
        ({}, None),
    ],
)
def test_integers_of_numbers_and_text(value, expected):
    assert integer({"Key": value}, "Key") == expected
