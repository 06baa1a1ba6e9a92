"""Scans and restart intervals of JPEG streams, counted against what encoders write."""

from io import BytesIO

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from dicomweb_gateway.errors import UndecodablePixels
from dicomweb_gateway.pixels.jpeg_header import read_jpeg_header
from dicomweb_gateway.pixels.jpeg_scans import read_jpeg_scans, with_noise

WAVES = (np.sin(np.arange(75)[:, None] / 5) * np.cos(np.arange(90)[None] / 7) * 90 + 128).astype("u1")
COLOUR = np.stack([WAVES, WAVES[::-1], WAVES[:, ::-1]], -1)


def coded(samples=WAVES, **options) -> bytes:
    target = BytesIO()
    Image.fromarray(samples).save(target, "JPEG", quality=90, **options)
    return target.getvalue()


def scans_of(data: bytes):
    return read_jpeg_scans(data, read_jpeg_header(data))


@pytest.mark.parametrize(
    ("data", "count"),
    [
        (coded(), 1),
        (coded(COLOUR), 1),
        (coded(COLOUR, subsampling=0), 1),
        (coded(progressive=True), 6),
        (coded(COLOUR, progressive=True), 10),
        (coded(restart_marker_blocks=3), 1),
        (coded(COLOUR, restart_marker_rows=1), 1),
        (coded(COLOUR, restart_marker_blocks=2, progressive=True), 10),
        (bytes(imagecodecs.jpeg8_encode(WAVES, lossless=True)), 1),
    ],
)
def test_scans_of_honest_streams(data, count):
    for padded in (data, data + b"\0"):
        scans = scans_of(padded)
        assert len(scans.ends) == count
        assert scans.has_end
        assert data[scans.ends[-1] :] == b"\xff\xd9"
        assert np.array_equal(
            imagecodecs.jpeg8_decode(with_noise(padded, scans)), imagecodecs.jpeg8_decode(data)
        )


@pytest.mark.parametrize(
    "data", [coded(), coded(COLOUR), bytes(imagecodecs.jpeg8_encode(WAVES, lossless=True))]
)
def test_noise_shows_what_is_missing(data):
    """Even one byte less before the end mark, which libjpeg would make up."""
    for missing in (1, 2, 7, len(data) // 4):
        cut = data[: -2 - missing] + b"\xff\xd9"
        scans = scans_of(cut)
        changed = imagecodecs.jpeg8_decode(with_noise(cut, scans)) != imagecodecs.jpeg8_decode(cut)
        assert changed.any()


def test_a_sequential_stream_without_its_end_mark_may_be_whole():
    assert not scans_of(coded()[:-2]).has_end


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (coded(progressive=True)[:-2], "cut short"),
        (coded(progressive=True)[:-300], "cut short"),
        (coded(restart_marker_blocks=3)[:-400] + b"\xff\xd9", "intervals"),
        (coded(COLOUR, restart_marker_blocks=1)[:-100] + b"\xff\xd9", "intervals"),
        (coded()[: coded().index(b"\xff\xda")] + b"\xff\xd9", "no scan"),
        (coded()[: coded().index(b"\xff\xda") + 2] + b"\0\0", "no scan"),
    ],
)
def test_what_is_missing(data, reason):
    with pytest.raises(UndecodablePixels, match=reason):
        scans_of(data)


def test_twenty_thousand_scans():
    """Each costs a walk over the whole image: minutes for one of 4,000 x 4,000."""
    data = coded(progressive=True)
    start = data.rindex(b"\xff\xda")
    with pytest.raises(UndecodablePixels, match="more than 200 scans"):
        scans_of(data[:-2] + data[start:-2] * 20_000 + b"\xff\xd9")


def test_hostile_bytes_raise_only_our_error():
    data = np.frombuffer(coded(COLOUR, progressive=True, restart_marker_blocks=2), "u1")
    rng = np.random.default_rng(2)
    refused = 0
    for _ in range(1000):
        broken = data.copy()
        broken[rng.integers(0, len(broken), 5)] = rng.integers(0, 256, 5)
        try:
            scans_of(broken.tobytes())
        except UndecodablePixels:
            refused += 1
    assert 0 < refused < 1000
