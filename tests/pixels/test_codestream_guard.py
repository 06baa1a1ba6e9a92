"""Structures that no honest codestream of that length has, and which streams are plain."""

import struct

import imagecodecs
import numpy as np
import pytest

from dicomweb_gateway.dicom.codestream import parse_codestream
from dicomweb_gateway.errors import UndecodablePixels
from dicomweb_gateway.pixels.codestream_guard import guard_structure, has_open_part, is_plain
from dicomweb_gateway.pixels.decoders import checksum
from dicomweb_gateway.pixels.encoders import drop_tlm, encode_htj2k, encode_j2k

HTJ2K = "1.2.840.10008.1.2.4.202"
GREY = np.random.default_rng(1).integers(0, 4096, (150, 200)).astype("<u2")
STREAM, BLACK = encode_htj2k(GREY), encode_htj2k(GREY * 0)
SIZ, COD = 2, STREAM.index(b"\xff\x52")
FIRST_PART = parse_codestream(STREAM).header_end


def put(stream: bytes, offset: int, form: str, *values: int) -> bytes:
    """`stream` with `values` packed over what stands at `offset`."""
    packed = struct.pack(form, *values)
    return stream[:offset] + packed + stream[offset + len(packed) :]


def sized(width: int, height: int, tile_wide: int = 0, tile_high: int = 0) -> bytes:
    tile = (tile_wide or width, tile_high or height)
    return put(STREAM, SIZ + 6, ">IIIIIIIIH", width, height, 0, 0, *tile, 0, 0, 1)


def five_components() -> bytes:
    wide = STREAM[: SIZ + 43] + b"\x0f\x01\x01" * 4 + STREAM[SIZ + 43 :]
    return put(put(wide, SIZ + 2, ">H", 41 + 12), SIZ + 38, ">H", 5)


def with_segment(marker: int, content: bytes, stream: bytes = STREAM) -> bytes:
    """`stream` with one more segment at the end of its main header."""
    at = parse_codestream(stream).header_end
    return stream[:at] + struct.pack(">HH", marker, 2 + len(content)) + content + stream[at:]


def with_precincts(size: int) -> bytes:
    """A black image whose COD gives every resolution precincts of 2**size."""
    levels = BLACK[COD + 9]
    given = bytes([size | size << 4] * (levels + 1))
    segment = struct.pack(">HB", 12 + len(given), BLACK[COD + 4] | 1) + BLACK[COD + 5 : COD + 14] + given
    return BLACK[:COD] + b"\xff\x52" + segment + BLACK[COD + 14 :]


@pytest.mark.parametrize(
    ("stream", "reason"),
    [
        (sized(60000, 60000), "7200000000 bytes described"),
        (sized(30000, 30000), "1800000000 bytes described"),
        (sized(200, 150, 1, 1)[: FIRST_PART + 200], "packets"),
        (sized(1 << 31, 1), "described"),
        (put(BLACK, COD + 6, ">H", 65535), "packets"),
        (with_precincts(0), "packets"),
        (put(STREAM, COD + 10, ">BB", 8, 8), "code-blocks"),
        (put(STREAM, COD + 10, ">BB", 15, 0), "code-blocks"),
        (put(STREAM, COD + 4, ">B", 1), "precincts"),
        (five_components(), "5 components"),
    ],
)
def test_what_is_out_of_proportion_is_refused(stream, reason):
    facts = parse_codestream(stream)
    with pytest.raises(UndecodablePixels, match=reason):
        guard_structure(stream, facts)


@pytest.mark.parametrize(
    "stream",
    [sized(60000, 60000), put(BLACK, COD + 6, ">H", 65535), sized(400, 300, 2, 2), sized(4, 4, 1, 1)],
)
def test_checksums_look_at_the_structure_too(stream):
    """No pixel description is at hand there; 30,000 tiles without a tile-part are a cut stream."""
    with pytest.raises(UndecodablePixels):
        checksum(stream, HTJ2K, 2)


@pytest.mark.parametrize(
    "samples",
    [
        GREY,
        GREY.astype("<i2"),
        np.zeros((3000, 2000), "u1"),
        np.zeros((1, 1), "u1"),
        np.zeros((90, 80, 3), "u1"),
    ],
)
def test_honest_streams_pass_and_are_plain(samples):
    for stream in (encode_htj2k(samples), encode_j2k(samples), drop_tlm(encode_htj2k(samples))):
        facts = parse_codestream(stream)
        length = guard_structure(stream, facts)
        assert length == samples.nbytes
        assert is_plain(stream, facts, length)
        assert not has_open_part(stream, facts)


def test_many_honest_tiles_are_plain():
    stream = bytes(imagecodecs.htj2k_encode(GREY, reversible=True, tile=(16, 16), tlm=True, resolutions=1))
    facts = parse_codestream(stream)
    assert facts.tiles == 10 * 13
    assert is_plain(stream, facts, guard_structure(stream, facts))


def test_every_corpus_codestream_passes(corpus):
    for path in sorted((corpus / "htj2k").glob("*.j*")):
        data = path.read_bytes()
        stream = data[data.index(b"\xff\x4f\xff\x51") :]
        assert guard_structure(stream, parse_codestream(stream)) > 0


@pytest.mark.parametrize(
    "stream",
    [
        with_segment(0xFF53, b"\0\0\x02\4\4\x40\1"),
        with_segment(0xFF5F, b"\0\0\0\1\1\1\2" * 30),
        with_segment(0xFF60, b"\0packed headers"),
        put(STREAM, COD + 6, ">H", 20),
        put(STREAM, FIRST_PART + 6, ">I", 0),
        put(STREAM, FIRST_PART + 12, ">HH", 0xFF5F, 9),
        put(STREAM, FIRST_PART + 12, ">HH", 0xFF52, 0),
    ],
    ids=["COC", "POC", "PPM", "layers", "open tile-part", "POC in a tile-part", "COD in a tile-part"],
)
def test_what_is_not_plain(stream):
    assert not is_plain(stream, parse_codestream(stream), GREY.nbytes)


def test_packet_lengths_and_comments_in_a_tile_part_are_plain():
    part = parse_codestream(STREAM).tile_parts[-1]
    extra = struct.pack(">HH", 0xFF58, 5) + b"\0\1\2" + struct.pack(">HH", 0xFF64, 6) + b"\0\1ok"
    longer = put(STREAM, part.start + 6, ">I", part.end - part.start + len(extra))
    stream = longer[: part.start + 12] + extra + longer[part.start + 12 :]
    facts = parse_codestream(stream)
    assert facts.complete
    assert is_plain(stream, facts, GREY.nbytes)


def test_large_images_are_not_plain():
    assert not is_plain(STREAM, parse_codestream(STREAM), 65 << 20)
