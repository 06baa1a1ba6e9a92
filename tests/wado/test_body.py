"""Bodies as segments that know their length (dicomweb.md M-7, M-9)."""

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
