"""Bodies as segments that know their length (dicomweb.md M-7, M-9)."""

import weakref

import pytest

from dicomweb_gateway.frames.stored_frame import FrameInMemory
from dicomweb_gateway.wado.body import (
    FrameSlice,
    Lazy,
    chunks,
    content_length,
    is_static,
    read_segment,
    ready,
)


@pytest.fixture
def made():
    return []


@pytest.fixture
def segments(made):
    def produce(data):
        return Lazy(len(data), lambda: made.append(data) or data)

    frame = FrameInMemory(b"0123456789")
    return [b"head", FrameSlice(frame, 2, 5), produce(b"first"), b"", produce(b"second")]


def test_lengths_are_known_before_anything_is_made(segments, made):
    assert content_length(segments) == 4 + 5 + 5 + 0 + 6
    assert made == []


def test_chunks_join_to_the_body(segments):
    assert list(chunks(segments)) == [b"head", b"23456", b"first", b"second"]


def test_only_the_first_is_made_early(segments, made):
    prepared = ready(segments)
    assert made == [b"first"]
    assert b"".join(chunks(prepared)) == b"head23456firstsecond"
    assert made == [b"first", b"second"]


def test_static_bodies_are_left_alone():
    segments = [b"a", FrameSlice(FrameInMemory(b"bc"), 0, 2)]
    assert is_static(segments)
    assert ready(segments) is segments
    assert not is_static([b"a", Lazy(1, lambda: b"x")])


def test_a_maker_must_keep_to_its_length():
    with pytest.raises(ValueError, match="3 bytes came out as 2"):
        read_segment(Lazy(3, lambda: b"ab"))


def test_a_body_comes_in_pieces_of_a_megabyte():
    body = bytes(range(256)) * 10_000
    frame = FrameInMemory(b"..." + body + b"...")
    for segment in (body, FrameSlice(frame, 3, len(body)), Lazy(len(body), lambda: body)):
        pieces = list(chunks([segment]))
        assert b"".join(pieces) == body
        assert max(map(len, pieces)) <= 1 << 20


class Bytes(bytearray):
    """Bytes that can be watched."""


def test_what_is_ready_is_not_held_once_it_is_read():
    made = [Bytes(b"123")]
    watched = weakref.ref(made[0])
    (segment,) = ready([Lazy(3, made.pop)])
    assert watched() is not None
    assert read_segment(segment) == b"123"
    assert watched() is None
    assert segment.length == 3
