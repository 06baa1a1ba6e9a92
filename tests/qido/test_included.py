import pytest

from dicomweb_gateway.qido.included import included

STEP = {"vr": "SH", "Value": ["S1"]}
PROCEDURE = {"vr": "SH", "Value": ["R1"]}
CODE = {"00080100": {"vr": "SH", "Value": ["C"]}, "00080104": {"vr": "LO", "Value": ["Chest"]}}
CODED = {"vr": "SQ", "Value": [CODE, {}]}
PRIVATE = {"00090010": {"vr": "LO", "Value": ["us"]}, "00091002": {"vr": "DS"}, "00091102": {"vr": "DS"}}
HELD = {
    "00081030": {"vr": "LO", "Value": ["Chest"]},
    "00081115": {"vr": "SQ"},
    "00400275": {
        "vr": "SQ",
        "Value": [{"00400009": STEP, "00401001": PROCEDURE}, {"00400008": CODED}, {"00401001": PROCEDURE}],
    },
    "0040A730": {"vr": "SQ", "Value": [None, PRIVATE]},
}


@pytest.mark.parametrize(
    ("paths", "answer"),
    [
        ([], {}),
        ([(0x00081030,)], {"00081030": HELD["00081030"]}),
        ([(0x00400275,), (0x00400275, 0x00400009)], {"00400275": HELD["00400275"]}),
        ([(0x00400275, 0x00400009), (0x00400275,)], {"00400275": HELD["00400275"]}),
        ([(0x00400275, 0x00400009)], {"00400275": {"vr": "SQ", "Value": [{"00400009": STEP}, {}, {}]}}),
        (
            [(0x00400275, 0x00401001), (0x00400275, 0x00400009)],
            {
                "00400275": {
                    "vr": "SQ",
                    "Value": [{"00400009": STEP, "00401001": PROCEDURE}, {}, {"00401001": PROCEDURE}],
                }
            },
        ),
        (
            [(0x00400275, 0x00400008, 0x00080100)],
            {
                "00400275": {
                    "vr": "SQ",
                    "Value": [
                        {},
                        {"00400008": {"vr": "SQ", "Value": [{"00080100": CODE["00080100"]}, {}]}},
                        {},
                    ],
                }
            },
        ),
        (
            [(0x00400275, 0x00400008, 0x00080100), (0x00400275, 0x00400008)],
            {"00400275": {"vr": "SQ", "Value": [{}, {"00400008": CODED}, {}]}},
        ),
        ([(0x00400275, 0x00080020)], {"00400275": {"vr": "SQ", "Value": [{}, {}, {}]}}),
        ([(0x00081115, 0x00080020)], {"00081115": {"vr": "SQ"}}),
        ([(0x00081030, 0x00080020)], {}),
        ([(0x00081140, 0x00080020)], {}),
        (
            [(0x0040A730, 0x00091002)],
            {
                "0040A730": {
                    "vr": "SQ",
                    "Value": [{}, {key: PRIVATE[key] for key in ("00090010", "00091002")}],
                }
            },
        ),
    ],
)
def test_what_paths_take(paths, answer):
    found = included(HELD, tuple(paths))
    assert found == answer
    for item in found.get("00400275", {}).get("Value", []):
        assert list(item) == sorted(item)
