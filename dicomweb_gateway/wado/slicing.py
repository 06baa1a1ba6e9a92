"""A byte range of a body of segments, nothing outside it read or made (dicomweb.md F-7, F-8)."""

from collections.abc import Iterable, Iterator
from functools import partial

from dicomweb_gateway.wado.body import FrameSlice, Lazy, Segment, read_segment, segment_length


def segments_between(segments: Iterable[Segment], start: int, end: int) -> Iterator[Segment]:
    """The bytes [start, end) of the body that `segments` make, as segments; 0-based, within the body."""
    position = 0
    for segment in segments:
        length = segment_length(segment)
        first, last = max(start - position, 0), min(end - position, length)
        if first < last:
            yield segment if (first, last) == (0, length) else _cut(segment, first, last)
        position += length
        if position >= end:
            return


def _cut(segment: Segment, first: int, last: int) -> Segment:
    """Bytes [first, last) of one segment; what is to be made is made whole and then cut."""
    if isinstance(segment, bytes):
        return segment[first:last]
    if isinstance(segment, FrameSlice):
        return FrameSlice(segment.frame, segment.start + first, last - first)
    return Lazy(last - first, partial(_made, segment, first, last))


def _made(segment: Lazy, first: int, last: int) -> bytes:
    return read_segment(segment)[first:last]
