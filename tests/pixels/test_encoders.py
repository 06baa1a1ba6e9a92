"""Lossless encoders: bit for bit, the structure HealthImaging's frames have, and its two older shapes."""

import numpy as np
import pytest

from dicomweb_gateway.dicom.codestream import parse_codestream
from dicomweb_gateway.dicom.jp2_boxes import is_boxed, unbox
from dicomweb_gateway.errors import UndecodablePixels
from dicomweb_gateway.pixels.encoders import (
    box_jp2,
    decompositions_for,
    drop_tlm,
    encode_htj2k,
    encode_j2k,
)
from dicomweb_gateway.pixels.optionals import decode_openjpeg, decode_openjph

SHAPES = [(1, 1), (3, 3), (1, 500), (64, 64), (65, 200), (512, 512), (10, 10, 3), (130, 129, 3)]


def noise(dtype: str, shape: tuple[int, ...]):
    limits = np.iinfo(dtype)
    return np.random.default_rng(5).integers(limits.min, limits.max, shape, dtype, endpoint=True)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["|u1", "|i1", "<u2", "<i2", "<u4", "<i4"])
def test_htj2k_is_lossless_over_the_whole_range(dtype, shape):
    samples = noise(dtype, shape)
    decoded = decode_openjph(encode_htj2k(samples))
    assert decoded.dtype == samples.dtype
    assert np.array_equal(decoded, samples)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["|u1", "|i1", "<u2", "<i2"])
def test_j2k_is_lossless_over_the_whole_range(dtype, shape):
    samples = noise(dtype, shape)
    assert np.array_equal(decode_openjpeg(encode_j2k(samples)), samples)


def test_j2k_refuses_what_it_would_damage():
    with pytest.raises(UndecodablePixels, match="32-bit"):
        encode_j2k(noise("<u4", (64, 64)))


@pytest.mark.parametrize(
    "samples", [np.zeros((4, 4), "f4"), np.zeros((4, 4), "u8"), np.zeros((4, 4, 2), "u1"), np.zeros(4, "u1")]
)
@pytest.mark.parametrize("encode", [encode_htj2k, encode_j2k])
def test_other_samples_are_refused(encode, samples):
    with pytest.raises(UndecodablePixels, match="no lossless coding"):
        encode(samples)


@pytest.mark.parametrize(
    ("side", "count"), [((1, 1), 1), ((64, 9), 1), ((65, 65), 1), ((512, 512), 3), ((3062, 2394), 6)]
)
def test_decompositions(side, count):
    assert decompositions_for(*side) == count
    assert min(side) / 2**count <= 64


def test_structure_is_that_of_the_transfer_syntax():
    """RPCL, TLM, a small base, one tile-part per resolution (PS3.5 10.18; healthimaging.md 3.3)."""
    facts = parse_codestream(encode_htj2k(noise("<i2", (512, 400))))
    assert (facts.progression, facts.has_tlm, facts.reversible, facts.high_throughput) == (
        "RPCL",
        True,
        True,
        True,
    )
    assert facts.decompositions == 3
    assert [part.index for part in facts.tile_parts] == [0, 1, 2, 3]


@pytest.mark.parametrize("side", [(1, 1), (2, 3), (3, 3), (10, 10), (16, 16), (64, 64), (65, 300)])
def test_streams_hold_the_decompositions_that_were_asked(side):
    samples = noise("<i2", side)
    stream = encode_htj2k(samples)
    assert parse_codestream(stream).decompositions == decompositions_for(*side)
    assert np.array_equal(decode_openjpeg(stream), samples)


def test_big_endian_and_strided_samples_are_taken():
    samples = noise("<i2", (70, 90))
    assert np.array_equal(decode_openjph(encode_htj2k(samples.astype(">i2"))), samples)
    assert np.array_equal(decode_openjph(encode_htj2k(samples[::2, ::-1])), samples[::2, ::-1])


@pytest.mark.parametrize("shape", [(100, 90), (40, 50, 3)])
def test_boxes(shape):
    stream = encode_htj2k(noise("|u1", shape))
    boxed = box_jp2(stream)
    assert is_boxed(boxed)
    assert len(boxed) == len(stream) + 85
    assert unbox(boxed) == stream
    assert box_jp2(boxed) == boxed
    assert np.array_equal(decode_openjpeg(boxed), noise("|u1", shape))


def test_boxes_are_those_of_the_real_frame(ahi_documents):
    real = (ahi_documents / "real-frame-512-signed16-truncated-12288.jph").read_bytes()
    ours = box_jp2(encode_htj2k(noise("<i2", (512, 512))))
    assert ours[:85] == real[:85]


def test_dropping_tlm_changes_nothing_else():
    samples = noise("<i2", (300, 200))
    stream = encode_htj2k(samples)
    bare = drop_tlm(stream)
    before, after = parse_codestream(stream), parse_codestream(bare)
    assert (before.has_tlm, after.has_tlm) == (True, False)
    assert all(bare[part.start + 11] == 0 for part in after.tile_parts)
    assert [part.end - part.start for part in after.tile_parts] == [
        part.end - part.start for part in before.tile_parts
    ]
    assert after.complete
    assert np.array_equal(decode_openjph(bare), samples)
    assert drop_tlm(box_jp2(stream)) == bare
