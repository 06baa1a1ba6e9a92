"""Element bytes to JSON values (healthimaging.md 2.3)."""

import pytest

from dicomweb_gateway.emulator.ingest.values import UnfitValue, json_value


@pytest.mark.parametrize(
    ("data", "vr", "single", "expected"),
    [
        (b"HEAD ", "LO", True, "HEAD"),
        (b"HEAD ", "LO", False, ["HEAD"]),
        (b"  HEAD", "LO", True, "  HEAD"),
        (b"ORIGINAL\\PRIMARY\\\\0011 ", "CS", False, ["ORIGINAL", "PRIMARY", "", "0011"]),
        (b"A\\B", "LO", True, ["A", "B"]),
        (b"one\\text\r\n ", "LT", True, "one\\text\r\n"),
        (b"", "LO", True, None),
        (b"  ", "SH", False, None),
        (b"\\", "LO", False, ["", ""]),
        (b"1.50 ", "DS", True, "1.50"),
        (b" 1.5\\ 2 ", "DS", False, ["1.5", "2"]),
        (b"1.5", "IS", True, "1.5"),
        (b"garbage", "DS", True, "garbage"),
        (b"1.2.840\0", "UI", True, "1.2.840"),
        (b"Doe^Jane=X^Y ", "PN", True, "Doe^Jane=X^Y"),
        (b"\x00\x02", "US", True, 512),
        (b"\x00\x02", "US", False, [512]),
        (b"\xff\xff\x01\x00", "SS", True, [-1, 1]),
        (b"", "US", True, None),
        (b"\x00\x00\x80\x3f", "FL", True, 1),
        (b"\x00\x00\x00\x00\x00\x00\xf8\x7f", "FD", True, "NaN"),
        (b"\x18\x00\x65\x10", "AT", False, ["00181065"]),
        (b"\x18\x00\x65\x10", "AT", True, ["00181065"]),
        (b"\x00\x01", "OB", True, "AAE="),
        (b"", "OB", True, ""),
        (b"", "UN", True, ""),
    ],
)
def test_little_endian_value(data, vr, single, expected):
    assert json_value(data, vr, little_endian=True, encodings=["iso8859"], single=single) == expected


@pytest.mark.parametrize(
    ("data", "vr", "expected"),
    [
        (b"\x02\x00", "US", 512),
        (b"\x3f\x80\x00\x00", "FL", 1),
        (b"\x00\x18\x10\x65", "AT", ["00181065"]),
        (b"\x01\x02", "OW", "AgE="),
        (b"\x01\x02", "OB", "AQI="),
    ],
)
def test_big_endian_value_is_written_as_little_endian(data, vr, expected):
    assert json_value(data, vr, little_endian=False, encodings=[], single=True) == expected


@pytest.mark.parametrize(
    ("encodings", "data", "expected"),
    [
        (["latin_1"], "Müller".encode("latin-1"), "Müller"),
        (["utf8"], "Wang^小東".encode(), "Wang^小東"),
        (["gb18030"], "王^小东".encode("gb18030"), "王^小东"),
        (
            ["iso8859", "iso2022_jp"],
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B",
            "Yamada^Tarou=山田^太郎",
        ),
    ],
)
def test_text_becomes_unicode(encodings, data, expected):
    assert json_value(data, "PN", little_endian=True, encodings=encodings, single=True) == expected


@pytest.mark.filterwarnings("ignore:Failed to decode")
def test_text_that_does_not_fit_its_character_set_survives_as_text():
    value = json_value(b"ab\xff", "LO", little_endian=True, encodings=["utf8"], single=True)
    assert value.startswith("ab")


@pytest.mark.parametrize(("data", "vr"), [(b"\1", "US"), (b"\1\2\3", "AT"), (b"\1\2\3", "FD")])
def test_bytes_that_make_no_value(data, vr):
    with pytest.raises(UnfitValue):
        json_value(data, vr, little_endian=True, encodings=[], single=True)
