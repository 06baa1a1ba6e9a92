"""Level arithmetic: the table of healthimaging.md 7.1 with what ours must do better."""

import imagecodecs
import numpy as np
import pytest

from dicomweb_gateway.dicom.codestream import parse_codestream
from dicomweb_gateway.errors import CorruptFrame, InvalidRequest
from dicomweb_gateway.pixels.encoders import box_jp2, drop_tlm, encode_htj2k, encode_j2k
from dicomweb_gateway.tlm.levels import has_levels, level_bounds, level_range, parse_level

SAMPLES = np.random.default_rng(1).integers(0, 4096, (512, 512)).astype("<u2")
FRAME = encode_htj2k(SAMPLES)
FRAMES = {
    "bare": FRAME,
    "boxed": box_jp2(FRAME),
    "no TLM": drop_tlm(FRAME),
    "boxed, no TLM": box_jp2(drop_tlm(FRAME)),
    "padded": FRAME + b"\0",
    "one tile-part": encode_j2k(SAMPLES),
}
JPEG = b"\xff\xd8\xff\xe0 no codestream"


@pytest.mark.parametrize("name", FRAMES)
def test_levels_put_together_are_the_frame(name):
    frame = FRAMES[name]
    count = len(level_bounds(frame)) - 1
    assert count == (1 if name == "one tile-part" else 4)
    assert b"".join(frame[slice(*level_range(frame, n, n))] for n in range(count)) == frame


@pytest.mark.parametrize(
    ("start", "end", "first", "last"),
    [
        (None, None, 0, 4),
        (0, 0, 0, 1),
        (2, 2, 2, 3),
        (1, 2, 1, 3),
        (None, 1, 0, 2),
        (2, None, 2, 4),
        (0, 99, 0, 4),
        (3, 3, 3, 4),
    ],
)
@pytest.mark.parametrize("name", ["bare", "boxed", "boxed, no TLM"])
def test_ranges(name, start, end, first, last):
    bounds = level_bounds(FRAMES[name])
    assert level_range(FRAMES[name], start, end) == (bounds[first], bounds[last])


@pytest.mark.parametrize(("start", "end"), [(4, None), (99, 99), (2, 1), (99, None)])
def test_empty_ranges(start, end):
    a, b = level_range(FRAME, start, end)
    assert a == b


def test_level_zero_holds_boxes_and_header():
    assert level_range(FRAMES["boxed"], 0, 0)[1] == level_range(FRAME, 0, 0)[1] + 85


def test_a_single_tile_part_is_level_zero_with_its_end_mark():
    frame = FRAMES["one tile-part"]
    assert level_range(frame, 0, 0) == (0, len(frame))
    assert level_range(frame, 1, 1) == (len(frame), len(frame))


def test_a_torn_frame_ends_behind_its_last_whole_level():
    bounds = level_bounds(FRAME)
    torn = FRAME[: bounds[2] + 100]
    assert level_bounds(torn) == bounds[:3]
    assert level_range(torn, None, None) == (0, bounds[2])


def test_the_real_frame_has_one_whole_level(ahi_documents):
    frame = (ahi_documents / "real-frame-512-signed16-truncated-12288.jph").read_bytes()
    assert level_range(frame, 0, 0) == (0, 85 + 199 + 6185)


def test_one_tile_part_a_tile_is_one_level(corpus):
    frame = (corpus / "htj2k" / "openjph-simple-dec-irv97-64x64-tiles-lrcp33.jph").read_bytes()
    assert level_bounds(frame) == (0, len(frame))


def test_tiles_written_one_after_the_other_are_one_level():
    frame = bytes(
        imagecodecs.htj2k_encode(SAMPLES, reversible=True, tilepart=1, resolutions=2, tile=(256, 256))
    )
    indices = [part.index for part in parse_codestream(frame).tile_parts]
    assert indices == [0, 1, 2] * 4
    assert level_bounds(frame) == (0, len(frame))


def test_other_codings_answer_whole_or_not_at_all():
    assert not has_levels(JPEG)
    assert level_range(JPEG, None, None) == (0, len(JPEG))
    with pytest.raises(InvalidRequest, match="resolution levels"):
        level_range(JPEG, 0, 0)


def test_a_torn_header_is_corrupt():
    with pytest.raises(CorruptFrame):
        level_range(FRAME[:30], None, None)


@pytest.mark.parametrize(("text", "level"), [("0", 0), ("7", 7), ("010", 10), ("9999", 9999)])
def test_levels_are_digits(text, level):
    assert parse_level(text) == level


@pytest.mark.parametrize("text", ["", "-1", "1.9", "abc", "1e3", " 1", "²", "٣", "10000000000"])
def test_anything_else_is_refused_by_name(text):
    with pytest.raises(InvalidRequest, match="startLevel"):
        parse_level(text, "startLevel")
