"""Real frames cut and damaged: refused, or the right pixels; never made-up ones, another error or a hang.

What a codec cannot notice, flipped bits inside of code-blocks and the like, is left to the CRC-32 of the
frame; the shape is right then.
"""

import time
from functools import cache

import imagecodecs
import numpy as np
import pytest
from pydicom.data import get_testdata_file

from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.dicom.transfer_syntax import transfer_syntax
from dicomweb_gateway.errors import UndecodablePixels
from dicomweb_gateway.pixels.decoders import decode_frame
from dicomweb_gateway.pixels.encoders import encode_htj2k
from tests.conftest import corpus_folder
from tests.pixels.samples_of_files import expected_entries, frames_of, open_file

BUNDLED = (
    "CT_small",
    "JPEG-lossy",
    "JPEG-LL",
    "JPEG2000",
    "MR_small_RLE",
    "MR_small_jp2klossless",
    "SC_rgb_jpeg_dcmtk",
    "SC_rgb_rle_16bit",
    "SC_rgb_small_odd_jpeg",
    "examples_jpeg2k",
    "image_dfl",
    "liver_1frame",
)
LARGEST = 300_000
"""Bytes of a frame that is worth the time."""
FLIPS = 8
SECONDS = 20
END_MARKS = {"jpeg": b"\xff\xd9", "jpegls": b"\xff\xd9", "j2k": b"\xff\xd9", "htj2k": b"\xff\xd9"}


def corpus_paths():
    """Two corpus files, small enough, of each transfer syntax."""
    found = {}
    for entry in expected_entries():
        path = corpus_folder() / entry["path"]
        if path.suffix == ".dcm" and path.stat().st_size < LARGEST:
            found.setdefault(entry["transfer_syntax_uid"], []).append(path)
    return [path for paths in found.values() for path in paths[:2]]


WAVES = (np.add.outer(np.sin(np.arange(70) / 9), np.cos(np.arange(90) / 7)) * 900 + 2000).astype("<u2")
MADE = {
    "HTJ2K": ("1.2.840.10008.1.2.4.202", lambda: encode_htj2k(WAVES)),
    "HTJ2K lossy": (
        "1.2.840.10008.1.2.4.203",
        lambda: bytes(imagecodecs.htj2k_encode(WAVES, reversible=False)),
    ),
    "JPEG XL": ("1.2.840.10008.1.2.4.110", lambda: imagecodecs.jpegxl_encode(WAVES, lossless=True)),
}
FRAMES = [
    *MADE,
    *filter(None, (get_testdata_file(f"{name}.dcm", download=False) for name in BUNDLED)),
    *corpus_paths(),
]


@cache
def frame_of(name):
    """First frame, transfer syntax, description, and samples of a file or of something made here."""
    if name in MADE:
        uid, make = MADE[name]
        frame, pixels = make(), PixelDescription(*WAVES.shape)
    else:
        dataset, uid, pixels = open_file(name)
        frame = frames_of(dataset, uid, pixels)[0]
    return frame, uid, pixels, decode_frame(frame, uid, pixels)


def attempt(data, uid, pixels):
    """The samples, None when they are refused; any other error, or too much time, fails the test."""
    started = time.monotonic()
    try:
        return decode_frame(data, uid, pixels)
    except UndecodablePixels:
        return None
    finally:
        assert time.monotonic() - started < SECONDS


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", FRAMES, ids=lambda name: str(name).rpartition("/")[2])
def test_cut_frames(name):
    frame, uid, pixels, whole = frame_of(name)
    syntax = transfer_syntax(uid)
    end = END_MARKS.get(syntax.family, b"")
    refused = 0
    for left in (
        0,
        1,
        len(frame) // 10,
        len(frame) // 2,
        len(frame) * 9 // 10,
        len(frame) - 40,
        len(frame) - 1,
    ):
        for cut in {frame[:left], frame[:left] + end}:
            found = attempt(cut, uid, pixels)
            refused += found is None
            assert found is None or np.array_equal(found, whole), f"{len(frame) - left} bytes were made up"
    assert refused >= 5


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", FRAMES, ids=lambda name: str(name).rpartition("/")[2])
def test_damaged_frames(name):
    frame, uid, pixels, whole = frame_of(name)
    for seed in range(FLIPS):
        rng = np.random.default_rng(seed)
        broken = np.frombuffer(frame, "u1").copy()
        # every other time where the headers are
        where = rng.integers(0, len(broken) if seed % 2 else min(len(broken), 200), 4)
        broken[where] ^= rng.integers(1, 256, 4).astype("u1")
        found = attempt(broken.tobytes(), uid, pixels)
        assert found is None or (found.shape, found.dtype) == (whole.shape, whole.dtype)
