import pytest

from dicomweb_gateway.dicom.normalization import LEVEL_OF, level_of


@pytest.mark.parametrize(
    ("tag", "level"),
    [
        (0x00100010, "patient"),
        (0x00081120, "patient"),
        (0x00101030, "study"),
        (0x0020000D, "study"),
        (0x00200052, "series"),
        (0x00280120, "series"),
        (0x00080018, "instance"),
        (0x00280010, "instance"),
        (0x00091001, "instance"),
    ],
)
def test_level_of_attribute(tag, level):
    assert level_of(tag) == level


def test_level_lists_are_whole():
    counts = {name: list(LEVEL_OF.values()).count(name) for name in ("patient", "study", "series")}
    assert counts == {"patient": 46, "study": 50, "series": 44}
