"""Paths and frame lists (dicomweb.md C-5, F-1 to F-3)."""

import pytest

from dicomweb_gateway.errors import InvalidRequest, PayloadTooLarge
from dicomweb_gateway.web.resource import ResourcePath, parse_frame_list, parse_path


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("1", (1,)), ("3,1,2", (3, 1, 2)), ("1, 2", (1, 2)), ("01", (1,)), ("999999999", (999_999_999,))],
)
def test_frame_lists_keep_their_order(text, numbers):
    assert parse_frame_list(text) == numbers


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "-1",
        "1,",
        ",1",
        "1,,2",
        "1,1",
        "1,01",
        "1.5",
        "a",
        "1;2",
        "+1",
        "1-3",
        "٣",
        "²",
        "9" * 5000,
        "1,0",
    ],
)
def test_malformed_frame_lists(text):
    with pytest.raises(InvalidRequest, match="frame list"):
        parse_frame_list(text)


def test_the_longest_list():
    assert len(parse_frame_list(",".join(map(str, range(1, 1001))))) == 1000
    with pytest.raises(PayloadTooLarge, match="1000"):
        parse_frame_list(",".join(map(str, range(1, 1002))))


@pytest.mark.parametrize(
    ("uids", "name"),
    [(("x",), "Study"), (("1.2", "1..2"), "Series"), (("1.2", "1.3", "1.4a"), "SOP Instance UID")],
)
def test_malformed_uids_are_named(uids, name):
    with pytest.raises(InvalidRequest, match=name):
        parse_path(*uids)


def test_paths():
    assert parse_path("1.2", "1.3", "1.4", "2,1") == ResourcePath("1.2", "1.3", "1.4", (2, 1))
    assert parse_path("1.2", "1.3", "1.4").path == "studies/1.2/series/1.3/instances/1.4"
    assert ResourcePath().path == ""
