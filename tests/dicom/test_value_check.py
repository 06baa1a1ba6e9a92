"""Values that people write, by their VR."""

import pytest

from dicomweb_gateway.dicom.value_check import value_flaw


@pytest.mark.parametrize(
    ("vr", "value"),
    [
        ("LO", ""),
        ("LO", "x" * 64),
        ("LT", "a\nb\\c"),
        ("PN", "Müller^Jörg^^Dr.=a=b"),
        ("DA", "20240229"),
        ("TM", "2359"),
        ("TM", "235959.123456"),
        ("DT", "20240229101530.5+0100"),
        ("CS", "HEAD_1 A"),
        ("AS", "045Y"),
        ("IS", "-12"),
        ("IS", 12),
        ("DS", "1.5e3"),
        ("DS", 1.5),
        ("US", 65535),
        ("FD", 0.25),
    ],
)
def test_good_values_have_no_flaw(vr, value):
    assert value_flaw(vr, value) is None


@pytest.mark.parametrize(
    ("vr", "value", "flaw"),
    [
        ("LO", "x" * 65, "64 characters"),
        ("LO", "a\x00b", "control"),
        ("LO", "a\nb", "control"),
        ("LO", "a\\b", "backslash"),
        ("LO", 5, "a text"),
        ("PN", "a^b^c^d^e^f", "names"),
        ("PN", "a=b=c=d", "names"),
        ("PN", "x" * 65, "names"),
        ("DA", "20230229", "no day"),
        ("DA", "2024-01-01", "DA values"),
        ("TM", "2460", "TM values"),
        ("CS", "head", "CS values"),
        ("IS", "1.5", "IS values"),
        ("IS", 1.5, "whole number"),
        ("IS", 1 << 31, "from"),
        ("US", -1, "from"),
        ("US", "1", "a number"),
        ("FD", "1", "a number"),
        ("DS", "1,5", "DS values"),
    ],
)
def test_flaws_are_named(vr, value, flaw):
    assert flaw in str(value_flaw(vr, value))
