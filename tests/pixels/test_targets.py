"""What can be made of an instance (dicomweb.md W-1 to W-3)."""

from dataclasses import replace

import pytest

from dicomweb_gateway.dicom.pixel_description import FLOAT_PIXEL_DATA, PixelDescription
from dicomweb_gateway.dicom.transfer_syntax import TRANSFER_SYNTAXES
from dicomweb_gateway.pixels.targets import TARGETS, is_stored_form, servable
from dicomweb_gateway.pixels.transcode import _ENCODERS

ROOT = "1.2.840.10008.1.2"
HTJ2K, JPEG, MP4 = f"{ROOT}.4.202", f"{ROOT}.4.50", f"{ROOT}.4.102"
GREY16 = PixelDescription(9, 9)
GREY8 = replace(GREY16, bits_allocated=8, bits_stored=8, high_bit=7)
RGB = replace(GREY8, samples_per_pixel=3, photometric_interpretation="RGB")

CASES = [
    ("16 bits", HTJ2K, GREY16, ".1 .4.90 .4.80 .4.70 .5 .4.202 .4.201"),
    ("signed", HTJ2K, replace(GREY16, pixel_representation=1), ".1 .4.90 .4.80 .4.70 .5 .4.202 .4.201"),
    ("8 bits", HTJ2K, GREY8, ".1 .4.90 .4.80 .4.70 .5 .4.202 .4.201 .4.50"),
    ("colour", HTJ2K, RGB, ".1 .4.90 .4.80 .4.70 .5 .4.202 .4.201 .4.50"),
    ("colour of a J2K store", f"{ROOT}.4.90", RGB, ".1 .4.90 .4.80 .4.70 .5 .4.202 .4.201 .4.50"),
    ("stored lossy", JPEG, RGB, ".1 .4.90 .4.80 .4.70 .5 .4.202 .4.201"),
    ("7 of 8 bits", HTJ2K, replace(GREY8, bits_stored=7), ".1 .4.90 .4.80 .4.70 .5 .4.202 .4.201"),
    (
        "signed 8 bits",
        HTJ2K,
        replace(GREY8, pixel_representation=1),
        ".1 .4.90 .4.80 .4.70 .5 .4.202 .4.201",
    ),
    (
        "palette",
        HTJ2K,
        replace(GREY8, photometric_interpretation="PALETTE COLOR"),
        ".1 .4.90 .4.80 .4.70 .5 .4.202 .4.201",
    ),
    ("32 bits", HTJ2K, replace(GREY16, bits_allocated=32), ".1 .5 .4.202 .4.201"),
    ("packed", f"{ROOT}.1", replace(GREY16, bits_allocated=1), ".1"),
    ("float", f"{ROOT}.1", replace(GREY16, bits_allocated=32, keyword=FLOAT_PIXEL_DATA), ".1"),
    ("four samples", HTJ2K, replace(RGB, samples_per_pixel=4), ".1"),
    ("colour of another kind", HTJ2K, replace(RGB, photometric_interpretation="YBR_PARTIAL_420"), ".1"),
    ("24 bits", HTJ2K, replace(GREY16, bits_allocated=24), ""),
    ("a video", MP4, RGB, ""),
    ("an unknown coding", "1.2.3", RGB, ""),
    ("not described", HTJ2K, None, ""),
]


@pytest.mark.parametrize(
    ("stored", "pixels", "tails"), [row[1:] for row in CASES], ids=[row[0] for row in CASES]
)
def test_what_can_be_made(stored, pixels, tails):
    found = servable(stored, pixels)
    assert found.made == tuple(ROOT + tail for tail in tails.split())
    assert next(iter(found)) == stored
    assert len(list(found)) == len(set(found))
    assert stored in found
    assert f"{ROOT}.4.91" not in found


def test_every_target_has_an_encoder_and_a_row():
    assert [target.uid for target in TARGETS] == [uid for uid in _ENCODERS if uid in TRANSFER_SYNTAXES]
    assert all(TRANSFER_SYNTAXES[target.uid].lossless != target.lossy for target in TARGETS)


def test_rpcl_streams_are_htj2k_lossless_but_not_the_other_way():
    assert is_stored_form(HTJ2K, f"{ROOT}.4.201")
    assert is_stored_form(JPEG, JPEG)
    assert not is_stored_form(f"{ROOT}.4.201", HTJ2K)
    assert not is_stored_form(f"{ROOT}.4.203", f"{ROOT}.4.201")


@pytest.mark.parametrize("tail", ["", ".2", ".1", ".1.99"])
def test_native_frames_are_served_as_little_endian(tail):
    """Implicit VR and big endian are never sent, `transfer-syntax=*` or not (A-10)."""
    found = servable(ROOT + tail, GREY16)
    assert next(iter(found)) == f"{ROOT}.1"
    assert f"{ROOT}.2" not in found
