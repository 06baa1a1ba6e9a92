"""Single elements in the DICOM JSON model (PS3.18 annex F; dicomweb.md J-20 to J-28)."""

import json
import math

import pytest

from dicomweb_gateway.dicom.json_model import dumps, element

LARGEST = 1.7976931348623157e308

VALUES = [
    ("J-21 no value", "LO", [], None),
    ("J-21 null", "LO", [None], None),
    ("J-21 empty text", "LO", [""], None),
    ("J-21 only padding", "SH", ["  \0"], None),
    ("J-21 empty member", "CS", ["ORIGINAL", "", "AXIAL"], ["ORIGINAL", None, "AXIAL"]),
    ("J-21 empty number", "DS", [""], None),
    ("J-21 empty number among others", "IS", ["1", ""], [1, None]),
    ("J-21 empty sequence", "SQ", [], None),
    ("J-21 empty item", "SQ", [{}], [{}]),
    *[
        (f"J-22 {vr} trims both ends", vr, [" x y "], ["x y"])
        for vr in ("AE", "AS", "CS", "DA", "DT", "LO", "SH", "TM", "UC", "UI", "UR")
    ],
    *[(f"J-22 {vr} keeps leading space", vr, ["  x \0"], ["  x"]) for vr in ("LT", "ST", "UT")],
    ("J-22 UI with NUL", "UI", ["1.2.3\0"], ["1.2.3"]),
    ("J-22 AT of text", "AT", ["0018106a"], ["0018106A"]),
    ("J-22 AT of a number", "AT", [0x00181065], ["00181065"]),
    ("J-23 IS", "IS", ["12 ", "-3", "+4", "007"], [12, -3, 4, 7]),
    ("J-23 IS given as number", "IS", [5], [5]),
    ("J-23 unparsable IS", "IS", ["1.5x"], ["1.5x"]),
    ("J-23 DS", "DS", ["1.50", " -2e-3 ", "10", ".5", "5."], [1.5, -0.002, 10, 0.5, 5.0]),
    ("J-23 unparsable DS", "DS", ["12,5"], ["12,5"]),
    ("J-23 DS nan is no number", "DS", ["NaN"], ["NaN"]),
    ("J-23 DS beyond double", "DS", ["1e999"], ["1e999"]),
    ("J-23 underscores are no digits", "IS", ["1_000"], ["1_000"]),
    ("J-23 other scripts are no digits", "DS", ["١"], ["١"]),
    *[(f"J-23 {vr}", vr, [3, -4], [3, -4]) for vr in ("SS", "SL", "US", "UL")],
    ("J-23 FL", "FL", [1.5, "2.25"], [1.5, 2.25]),
    ("J-23 whole text in FD", "FD", [" 2 "], [2]),
    ("J-23 2^53 is exact", "UL", [2**53], [2**53]),
    ("J-23 beyond 2^53", "IS", [str(2**53 + 1)], [str(2**53 + 1)]),
    ("J-23 below -2^53", "IS", [str(-(2**53) - 1)], [str(-(2**53) - 1)]),
    ("J-23 SV is text", "SV", [-5], ["-5"]),
    ("J-23 UV is text", "UV", [2**64 - 1], [str(2**64 - 1)]),
    ("J-23 NaN", "FD", [math.nan], [None]),
    ("J-23 NaN as text", "FL", ["NaN"], [None]),
    ("J-23 infinity", "FL", [math.inf, -math.inf], [LARGEST, -LARGEST]),
    ("J-23 infinity as text", "FD", ["Infinity", "-inf"], [LARGEST, -LARGEST]),
    ("J-23 nonsense in a binary number", "US", ["x"], ["x"]),
    ("J-24 one group", "PN", ["Doe^John "], [{"Alphabetic": "Doe^John"}]),
    (
        "J-24 three groups",
        "PN",
        ["Yamada^Tarou=山田^太郎=やまだ^たろう"],
        [{"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}],
    ),
    ("J-24 only ideographic", "PN", ["=山田"], [{"Ideographic": "山田"}]),
    ("J-24 empty groups", "PN", ["=="], None),
    ("J-24 several names", "PN", ["A^B", "", "C"], [{"Alphabetic": "A^B"}, None, {"Alphabetic": "C"}]),
]


@pytest.mark.parametrize(
    ("vr", "values", "expected"), [row[1:] for row in VALUES], ids=[row[0] for row in VALUES]
)
def test_element(vr, values, expected):
    made = element(vr, values)
    assert made == ({"vr": vr} if expected is None else {"vr": vr, "Value": expected})
    json.loads(dumps(made), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
