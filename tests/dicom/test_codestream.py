"""The marker parser against real streams, made streams, and hostile bytes."""

import struct

import imagecodecs
import numpy as np
import pytest

from dicomweb_gateway.dicom.codestream import parse_codestream
from dicomweb_gateway.dicom.jp2_boxes import JP2_SIGNATURE, codestream_span, is_boxed, unbox
from dicomweb_gateway.errors import CorruptFrame

GREY = np.arange(200 * 300, dtype="<u2").reshape(200, 300) % 4096


def coded(samples=GREY, **options) -> bytes:
    settings = {"reversible": True, "tlm": True, "tilepart": 1, "resolutions": 2} | options
    return bytes(imagecodecs.htj2k_encode(samples, **settings))


def boxed(stream: bytes, length: int | None = None) -> bytes:
    """`stream` in signature and jp2c boxes; `length` None: 8-byte XL length, 0: open end."""
    if length is None:
        head = struct.pack(">I4sQ", 1, b"jp2c", 16 + len(stream))
    else:
        head = struct.pack(">I4s", length, b"jp2c")
    return JP2_SIGNATURE + struct.pack(">I4s4s", 12, b"free", b"\xff\x4f\xff\x51") + head + stream


def test_facts_of_a_made_stream():
    facts = parse_codestream(coded())
    assert (facts.width, facts.height, facts.components, facts.precision) == (300, 200, 1, 16)
    assert (facts.decompositions, facts.progression, facts.signed) == (2, "RPCL", False)
    assert (facts.reversible, facts.has_tlm, facts.high_throughput, facts.complete) == (
        True,
        True,
        True,
        True,
    )
    assert [part.index for part in facts.tile_parts] == [0, 1, 2]
    assert facts.tile_parts[0].start == facts.header_end
    assert facts.tile_parts[-1].end == len(coded()) - 2


@pytest.mark.parametrize(
    ("samples", "options", "expected"),
    [
        (GREY.astype("<i2"), {}, {"signed": True, "precision": 16}),
        (GREY.astype("u1"), {}, {"signed": False, "precision": 8}),
        (np.dstack([GREY.astype("u1")] * 3), {}, {"components": 3, "colour_transform": True}),
        (GREY, {"reversible": False}, {"reversible": False}),
        (GREY, {"tlm": False}, {"has_tlm": False}),
    ],
)
def test_facts_follow_the_encoder(samples, options, expected):
    facts = parse_codestream(coded(samples, **options))
    assert {name: getattr(facts, name) for name in expected} == expected


def test_part_1_is_not_high_throughput():
    stream = imagecodecs.jpeg2k_encode(GREY, level=0, codecformat="J2K", reversible=True)
    facts = parse_codestream(stream)
    assert (facts.high_throughput, facts.reversible, facts.complete) == (False, True, True)


def test_the_real_healthimaging_frame(ahi_documents):
    data = (ahi_documents / "real-frame-512-signed16-truncated-12288.jph").read_bytes()
    facts = parse_codestream(data)
    assert is_boxed(data)
    assert codestream_span(data) == (85, len(data))
    assert (facts.width, facts.height, facts.precision, facts.signed) == (512, 512, 16, True)
    assert (facts.decompositions, facts.progression, facts.has_tlm) == (3, "RPCL", False)
    assert facts.header_end == 199
    assert [(part.start, part.end) for part in facts.tile_parts] == [(199, 199 + 6185)]
    assert not facts.complete


def test_every_corpus_codestream_is_whole(corpus):
    streams = sorted((corpus / "htj2k").glob("*.j*"))
    assert len(streams) == 16
    assert all(parse_codestream(path.read_bytes()).complete for path in streams)


@pytest.mark.parametrize("length", [None, 0, 8 + len(coded())])
def test_boxes_come_off(length):
    data = boxed(coded(), length)
    assert unbox(data) == coded()
    assert parse_codestream(data) == parse_codestream(coded())


def test_a_bare_stream_is_its_own_content():
    stream = coded()
    assert unbox(stream) is stream


def test_a_codestream_box_ends_where_it_says():
    assert unbox(boxed(coded(), 8 + len(coded())) + b"trailing box") == coded()


def test_psot_zero_runs_to_the_end_and_a_pad_byte_is_no_part_of_it():
    stream = bytearray(imagecodecs.jpeg2k_encode(GREY, level=0, codecformat="J2K", reversible=True))
    start = parse_codestream(bytes(stream)).header_end
    stream[start + 6 : start + 10] = bytes(4)
    for data in (bytes(stream), bytes(stream) + b"\0"):
        facts = parse_codestream(data)
        assert facts.tile_parts[0].end == len(stream) - 2
        assert facts.complete


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9])
def test_a_cut_stream_keeps_only_whole_tile_parts(keep):
    whole = parse_codestream(coded()).tile_parts
    data = coded()[: int(len(coded()) * keep)]
    facts = parse_codestream(data)
    assert not facts.complete
    assert facts.tile_parts == tuple(part for part in whole if part.end <= len(data))


def test_a_missing_end_mark_is_incomplete():
    facts = parse_codestream(coded()[:-2])
    assert len(facts.tile_parts) == 3
    assert not facts.complete


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\x4f",
        b"\xff\xd8\xff\xe0 a JPEG",
        b"\xff\x4f\xff\x51",
        coded()[:40],
        coded()[:60],
        JP2_SIGNATURE,
        JP2_SIGNATURE + struct.pack(">I4s", 3, b"ftyp"),
        JP2_SIGNATURE + struct.pack(">I4s", 1, b"jp2c"),
        JP2_SIGNATURE + struct.pack(">I4sQ", 1, b"jp2c", 0) + coded(),
        b"\xff\x4f\xff\x51" + struct.pack(">H", 41) + bytes(39) + coded()[45:],
        b"\xff\x4f\xff\x51\x00\x00" + coded()[6:],
        b"\xff\x4f" + coded()[coded().index(b"\xff\x52") :],
    ],
)
def test_torn_or_foreign_data_is_refused(data):
    with pytest.raises(CorruptFrame):
        parse_codestream(data)


def test_hostile_bytes_never_crash():
    rng = np.random.default_rng(7)
    stream = np.frombuffer(coded()[:400] + coded()[-2:], "u1")
    refused = 0
    for _ in range(2000):
        broken = stream.copy()
        where = rng.integers(0, len(broken), 4)
        broken[where] = rng.integers(0, 256, 4)
        try:
            parse_codestream(broken.tobytes())
        except CorruptFrame:
            refused += 1
    assert 0 < refused < 2000
