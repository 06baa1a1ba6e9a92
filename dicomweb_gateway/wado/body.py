"""Answer bodies as segments that know their length: bytes, a slice of a stored frame, or bytes to be made."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from dicomweb_gateway.frames.stored_frame import StoredFrame

CHUNK = 1 << 18
"""Bytes that are read from a stored frame at a time."""


@dataclass(frozen=True, slots=True)
class FrameSlice:
    """`length` bytes of a stored frame from offset `start` on."""

    frame: StoredFrame
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Lazy:
    """`length` bytes that `produce` makes when their turn comes, such as a decoded frame."""

    length: int
    produce: Callable[[], bytes]


Segment = bytes | FrameSlice | Lazy


def segment_length(segment: Segment) -> int:
    """Bytes of one segment."""
    return len(segment) if isinstance(segment, bytes) else segment.length


def content_length(segments: Iterable[Segment]) -> int:
    """Bytes of all segments."""
    return sum(map(segment_length, segments))


def is_static(segments: Sequence[Segment]) -> bool:
    """Whether nothing has to be made while the body goes out."""
    return not any(isinstance(segment, Lazy) for segment in segments)


def read_segment(segment: Segment) -> bytes:
    """All bytes of one segment; ValueError when a maker does not keep to its announced length."""
    if isinstance(segment, bytes):
        return segment
    if isinstance(segment, FrameSlice):
        whole = segment.frame.read()
        return whole[segment.start : segment.start + segment.length]
    made = segment.produce()
    if len(made) != segment.length:
        raise ValueError(f"a body segment of {segment.length} bytes came out as {len(made)}")
    return made


def chunks(segments: Iterable[Segment]) -> Iterator[bytes]:
    """The body piece by piece; one segment in memory at a time."""
    for segment in segments:
        data = read_segment(segment)
        if data:
            yield data


def ready(segments: Sequence[Segment]) -> Sequence[Segment]:
    """`segments` with the first one that is to be made already made.

    What is wrong with the first part is thus known before the first byte goes out (M-9).
    """
    for number, segment in enumerate(segments):
        if isinstance(segment, Lazy):
            return [*segments[:number], read_segment(segment), *segments[number + 1 :]]
    return segments
