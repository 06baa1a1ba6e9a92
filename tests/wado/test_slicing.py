"""Byte ranges of bodies against the joined bytes (F-7, F-8)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb_gateway.frames.stored_frame import FrameInMemory
from dicomweb_gateway.wado.body import FrameSlice, Lazy, chunks
from dicomweb_gateway.wado.slicing import segments_between


def segment(kind, data):
    if kind == "bytes":
        return data
    if kind == "frame":
        return FrameSlice(FrameInMemory(b"before" + data + b"behind"), 6, len(data))
    return Lazy(len(data), lambda: data)


BODIES = st.lists(st.tuples(st.sampled_from(["bytes", "frame", "lazy"]), st.binary(max_size=40)), max_size=8)


@given(BODIES, st.integers(0, 400), st.integers(0, 400))
def test_a_range_is_that_of_the_joined_bytes(parts, first, second):
    whole = b"".join(data for _, data in parts)
    start, end = sorted((min(first, len(whole)), min(second, len(whole))))
    cut = segments_between([segment(*part) for part in parts], start, end)
    assert b"".join(chunks(cut)) == whole[start:end]


def test_what_lies_outside_is_not_made():
    def refuse():
        raise AssertionError("made for nothing")

    body = [Lazy(10, refuse), b"head", Lazy(10, lambda: b"0123456789"), Lazy(10, refuse)]
    assert b"".join(chunks(segments_between(body, 12, 18))) == b"ad0123"


def test_a_maker_that_breaks_its_word_is_found_out():
    with pytest.raises(ValueError, match="came out as 3"):
        list(chunks(segments_between([Lazy(10, lambda: b"abc")], 0, 2)))
