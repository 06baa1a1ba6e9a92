"""Native frames out and in: packed bits, subsampled colour, byte order, lengths."""

from dataclasses import replace

import numpy as np
import pytest

from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.errors import UndecodablePixels
from dicomweb_gateway.pixels.native import decode_native, is_subsampled, native_bytes, swap_bytes

BYTES = PixelDescription(2, 4, 3, 8, 8, 7, 0, "RGB")
SUBSAMPLED = replace(BYTES, photometric_interpretation="YBR_FULL_422")


def test_subsampled_chroma_is_repeated():
    coded = bytes([10, 11, 100, 200, 12, 13, 101, 201, 14, 15, 102, 202, 16, 17, 103, 203])
    decoded = decode_native(coded, SUBSAMPLED)
    assert decoded[..., 0].tolist() == [[10, 11, 12, 13], [14, 15, 16, 17]]
    assert decoded[..., 1].tolist() == [[100, 100, 101, 101], [102, 102, 103, 103]]
    assert decoded[..., 2].tolist() == [[200, 200, 201, 201], [202, 202, 203, 203]]


def test_a_full_length_frame_under_a_422_label_is_full():
    full = bytes(range(24))
    assert not is_subsampled(full, SUBSAMPLED)
    assert native_bytes(decode_native(full, SUBSAMPLED), SUBSAMPLED) == full


def test_an_odd_width_cannot_be_subsampled():
    with pytest.raises(UndecodablePixels, match="odd width"):
        decode_native(bytes(18), replace(SUBSAMPLED, columns=3, rows=3))


@pytest.mark.parametrize("extra", [b"", b"\0", b"\0" * 9])
def test_pad_bytes_are_cut(extra):
    assert native_bytes(decode_native(bytes(range(24)) + extra, BYTES), BYTES) == bytes(range(24))


def test_planes_come_out_interleaved():
    decoded = decode_native(bytes(range(24)), replace(BYTES, planar_configuration=1))
    assert decoded[0, 1].tolist() == [1, 9, 17]
    assert native_bytes(decoded, BYTES)[3:6] == bytes([1, 9, 17])


@pytest.mark.parametrize(("data", "swapped"), [(b"abcd", b"badc"), (b"abc", b"bac"), (b"", b"")])
def test_swap_bytes(data, swapped):
    assert swap_bytes(data) == swapped


@pytest.mark.parametrize(
    ("keyword", "bits", "dtype"), [("FloatPixelData", 32, "f4"), ("DoubleFloatPixelData", 64, "f8")]
)
def test_floats_keep_every_bit(keyword, bits, dtype):
    pixels = PixelDescription(1, 4, bits_allocated=bits, keyword=keyword)
    samples = np.array([[np.nan, np.inf, -0.0, 1e-30]], f"<{dtype}")
    data = samples.tobytes()
    assert native_bytes(decode_native(data, pixels), pixels) == data
    swapped = samples.astype(f">{dtype}").tobytes()
    assert native_bytes(decode_native(swapped, pixels, big_endian=True), pixels) == data


def test_another_size_is_refused():
    with pytest.raises(UndecodablePixels, match="samples fill"):
        native_bytes(np.zeros((3, 3), "u1"), PixelDescription(2, 2, bits_allocated=8))


def test_first_pixel_is_the_lowest_bit():
    pixels = PixelDescription(1, 10, bits_allocated=1, bits_stored=1, high_bit=0)
    assert decode_native(b"\x01\x02", pixels).tolist() == [[1, 0, 0, 0, 0, 0, 0, 0, 0, 1]]
    assert native_bytes(np.array([[1, 0, 0, 0, 0, 0, 0, 0, 0, 1]]), pixels) == b"\x01\x02"
