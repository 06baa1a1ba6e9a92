import pytest

from dicomweb_gateway.qido.answers import Found, answer, available_syntaxes
from dicomweb_gateway.qido.attributes import LEVELS
from dicomweb_gateway.qido.expression import QidoQuery

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
    query = QidoQuery("study", include=((0x00091002,),))
    found = answer(query, Found(study_uid="1.2", study=held))
    assert found["00090010"] == held["00090010"]
    assert "00091002" in found
    assert "00091102" not in found


def test_all_adds_the_answered_level_only():
    query = QidoQuery("series", study_uid="1.2", include_all=True)
    upper, lower = {"00101010": {"vr": "AS"}}, {"00081140": {"vr": "SQ"}}
    found = answer(query, Found(study_uid="1.2", series_uid="1.3", study=upper, series=lower))
    assert "00081140" in found
    assert "00101010" not in found


@pytest.mark.parametrize("study_uid", [None, "1.2"])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("include_all", [False, True])
def test_keys_ascend_and_every_element_has_a_vr(level, study_uid, include_all):
    query = QidoQuery(level, study_uid=study_uid, include_all=include_all)
    held = {"00081140": {"vr": "SQ"}, "00080201": {"vr": "SH", "Value": ["+0100"]}}
    for found in (
        Found("1.2", "1.3", "1.4", modalities={"MR", "CT"}),
        Found("1.2", "1.3", "1.4", study=held, series=held, instance=held),
    ):
        got = answer(query, found)
        assert list(got) == sorted(got)
        assert all(element["vr"] for element in got.values())
        assert got["00081190"] == {"vr": "UR"}
        assert ("00080201" in got) == bool(found.study)


def test_what_an_answer_has_by_itself_is_not_replaced():
    held = {"0020000D": {"vr": "UI", "Value": ["9"]}, "00080061": {"vr": "CS", "Value": ["OT"]}}
    found = answer(QidoQuery("study", include_all=True), Found("1.2", study=held, modalities=("CT",)))
    assert found["0020000D"]["Value"] == ["1.2"]
    assert found["00080061"]["Value"] == ["CT"]
