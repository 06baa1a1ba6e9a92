"""Paths of bulk data (dicomweb.md B-1); values over HTTP: tests/routes/test_frames.py."""

import pytest

from dicomweb_gateway.errors import InvalidRequest
from dicomweb_gateway.wado.bulkdata import BulkPath, parse_bulk_path


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("7FE00010", BulkPath((), 0x7FE00010)),
        ("7fe00010", BulkPath((), 0x7FE00010)),
        ("00400275/2/00091001", BulkPath(((0x00400275, 2),), 0x00091001)),
        ("00081140/1/00091002/12/00091003", BulkPath(((0x00081140, 1), (0x00091002, 12)), 0x00091003)),
    ],
)
def test_paths(text, path):
    assert parse_bulk_path(text) == path


@pytest.mark.parametrize(
    ("text", "pixels"),
    [("7FE00010", True), ("7FE00008", True), ("00880200/1/7FE00010", False), ("00091001", False)],
)
def test_only_the_instances_own_pixels_are_frames(text, pixels):
    assert parse_bulk_path(text).is_pixel_data is pixels


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "0009100",
        "00091001/",
        "00091001/1",
        "00091001/0/00091002",
        "00091001/-1/00091002",
        "00091001/²/00091002",
    ],
)
def test_malformed_paths(text):
    with pytest.raises(InvalidRequest, match="bulk data path"):
        parse_bulk_path(text)
