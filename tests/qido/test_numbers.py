from decimal import Decimal

import pytest

from dicomweb_gateway.qido.numbers import exact_number, is_whole


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("7", "7"),
        ("+007", "7"),
        ("-.5", "-0.5"),
        ("1.", "1"),
        ("15e-1", "1.5"),
        ("1E+400", "1e400"),
        ("0.1234567890123456789012345678901234567890", "0.1234567890123456789012345678901234567890"),
    ],
)
def test_numbers_are_exact(text, number):
    assert exact_number(text) == Decimal(number)


@pytest.mark.parametrize(
    "text",
    [
        *("", " 1", ".", "e1", "1e", "NaN", "Infinity", "-inf", "1_0", "٣", "1,5", "0x1", "1\n"),
        *("1e401", "1e-401", "1e999999999", "9" * 65),
    ],
)
def test_what_is_no_number_or_too_large(text):
    assert exact_number(text) is None


@pytest.mark.parametrize(
    ("text", "whole"), [("7.00", True), ("7e2", True), ("7.5", False), ("1e-400", False)]
)
def test_whole_numbers(text, whole):
    assert is_whole(Decimal(text)) is whole
    assert is_whole(Decimal("1e400"))
