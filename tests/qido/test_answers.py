import pytest

from dicomweb_gateway.qido.answers import available_syntaxes, finished

ELE = "1.2.840.10008.1.2.1"


@pytest.mark.parametrize(
    ("stored", "frames", "syntaxes"),
    [
        ("1.2.840.10008.1.2.4.202", True, ["1.2.840.10008.1.2.4.202", ELE]),
        (ELE, True, [ELE]),
        ("1.2.840.10008.1.2.4.202", False, [ELE]),
        ("1.2.840.10008.1.2.4.102", True, ["1.2.840.10008.1.2.4.102"]),
        ("1.2.3", True, ["1.2.3"]),
    ],
)
def test_available_syntaxes(stored, frames, syntaxes):
    assert available_syntaxes(stored, frames) == syntaxes


def test_a_private_attribute_comes_with_its_creator():
    held = {"00090010": {"vr": "LO", "Value": ["us"]}, "00091002": {"vr": "DS"}, "00091102": {"vr": "DS"}}
    answer = finished([], [held], ((0x00091002,),), False)
    assert list(answer) == ["00080005", "00090010", "00091002"]


def test_all_adds_the_answered_level_only():
    upper, lower = {"00100010": {"vr": "PN"}}, {"00081140": {"vr": "SQ"}}
    assert list(finished([], [upper, lower], (), True)) == ["00080005", "00081140"]
