"""Levels of frames as pixels: exact at full size, small ones out of the first bytes, told in a header."""

import json

import numpy as np
import pytest
from isal import isal_zlib

from dicomweb_gateway.pixels.differences import differences
from dicomweb_gateway.pixels.optionals import decode_openjph
from tests.routes.archive import (
    BOXED,
    BROKEN,
    CT,
    JPEG,
    RGB,
    SEG,
    SR,
    path_of,
    rgb_pixels,
    segment_bits,
    slice_pixels,
)

LAST = {CT: 1, RGB: 1, BOXED: 1, SEG: 0, JPEG: 0}


def levels(series, number=1, frame=1):
    return f"{path_of(series, number)}/frames/{frame}/levels"


def pixels(response):
    assert response.status_code == 200
    assert response.content_type == "application/octet-stream"
    told = json.loads(response.headers["Image-Description"])
    shape = (told["rows"], told["columns"], *([told["samples"]] if told["samples"] > 1 else []))
    return np.frombuffer(response.get_data(), f"<{told['type']}").reshape(shape), told


@pytest.mark.parametrize(
    ("series", "frame", "expected"),
    [
        (CT, 1, slice_pixels(1)),
        (BOXED, 1, slice_pixels(1)),
        (RGB, 2, rgb_pixels(2)),
        (SEG, 3, segment_bits(3)),
    ],
)
def test_the_last_level_is_the_frame_bit_for_bit(get, series, frame, expected):
    found, told = pixels(get(f"{levels(series, 1, frame)}/{LAST[series]}"))
    for name in ("last", LAST[series] + 1, 9999):
        assert get(f"{levels(series, 1, frame)}/{name}").get_data() == found.tobytes()
    assert found.dtype == expected.dtype
    assert np.array_equal(found, expected)
    assert len(told["levels"]) == LAST[series] + 1


@pytest.mark.parametrize("series", [CT, RGB, SEG])
def test_differences_are_asked_for_by_name(get, series):
    path = f"{levels(series)}/last"
    plain, _ = pixels(get(path))
    found = get(f"{path}?coding=differences")
    assert json.loads(found.headers["Image-Description"])["coding"] == "differences"
    assert found.get_data() == differences(plain)
    assert found.headers["ETag"] != get(path).headers["ETag"]


@pytest.mark.parametrize("series", [CT, BOXED])
def test_a_coarse_level_is_what_its_first_bytes_hold(house, get, series):
    stored = house.frames.frames[house.key(series)]
    bare = stored[stored.index(b"\xff\x4f\xff\x51") :]
    whole = get(levels(series)).get_json()
    assert [(level["columns"], level["rows"]) for level in whole["levels"]] == [(40, 48), (80, 96)]
    coded = [level["coded"] for level in whole["levels"]]
    assert coded == sorted(set(coded))
    assert coded[-1] == len(stored)
    found, told = pixels(get(f"{levels(series)}/0"))
    assert np.array_equal(found, np.clip(decode_openjph(bare, 1), -(1 << 15), (1 << 15) - 1))
    assert (told["level"], told["levels"]) == (0, whole["levels"])


def test_what_is_needed_to_show_it_is_told(get):
    facts = get(levels(CT)).get_json()
    assert (facts["slope"], facts["intercept"], facts["windows"], facts["inverse"]) == (1, 0, [], False)
    mask = get(levels(SEG)).get_json()
    assert (mask["windows"], len(mask["levels"])) == ([[0.5, 1.0, "LINEAR_EXACT"]], 1)


def test_packed_where_the_client_takes_it_and_not_sent_twice(get):
    path = f"{levels(CT)}/1"
    plain = get(path)
    packed = get(path, Accept_Encoding="gzip")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert isal_zlib.decompress(packed.get_data(), 31) == plain.get_data()
    again = get(path, If_None_Match=plain.headers["ETag"])
    assert (again.status_code, again.get_data()) == (304, b"")
    tags = {get(f"{levels(CT, 1)}/{level}").headers["ETag"] for level in range(2)}
    assert len(tags | {get(f"{levels(CT, 2)}/1").headers["ETag"]}) == 3


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{levels(CT, 1, 2)}/0", 404),
        (f"{levels(CT, 9)}/0", 404),
        (f"{levels(CT)}/-1", 400),
        (f"{levels(CT)}/x", 400),
        (f"{levels(CT)}/0?coding=zip", 400),
        (f"{levels(CT)}/٣", 400),
        (f"{levels(CT, 1, '0')}/0", 400),
        (levels(RGB, 1, "1,2"), 413),
        (f"{levels(SR)}/0", 406),
        (f"{levels(BROKEN)}/1", 406),
    ],
)
def test_what_is_not_there(get, path, status):
    assert get(path).status_code == status


@pytest.mark.parametrize("path", [f"{levels(CT)}/0", levels(CT), f"{path_of(CT, 1)}/rendered"])
def test_frame_and_metadata_come_at_the_same_time(fresh, path):
    client = fresh.app.test_client()
    assert client.get(path).status_code == 200
    # asked for before the metadata were waited for
    assert fresh.frames.prefetched == [fresh.key(CT)]
    # and when they are at hand nothing is gained by it
    assert client.get(path.replace(path_of(CT, 1), path_of(CT, 2))).status_code == 200
    assert fresh.frames.prefetched == [fresh.key(CT)]
