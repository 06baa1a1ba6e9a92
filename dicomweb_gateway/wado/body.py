"""Answer bodies as segments that know their length: bytes, a slice of a stored frame, or bytes to be made."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from dicomweb_gateway.frames.stored_frame import StoredFrame

_PIECE = 1 << 20


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
    """The body in pieces of at most 1 MB; one segment in memory at a time.

    Pieces, because whoever sends them holds the last one while the next segment is made.
    """
    for segment in segments:
        if isinstance(segment, FrameSlice) and segment.length > _PIECE:
            yield from _stored_pieces(segment)
        else:
            yield from _pieces(read_segment(segment))


def ready(segments: Sequence[Segment]) -> Sequence[Segment]:
    """`segments` with the first one that is to be made already made; that one can be read once only.

    What is wrong with the first part is thus known before the first byte goes out (M-9).
    """
    for number, segment in enumerate(segments):
        if isinstance(segment, Lazy):
            made = Lazy(segment.length, _Made(read_segment(segment)))
            return [*segments[:number], made, *segments[number + 1 :]]
    return segments


class _Made:
    """Bytes that are handed out once and not held on to: other segments follow."""

    def __init__(self, data: bytes) -> None:
        self._data = [data]

    def __call__(self) -> bytes:
        return self._data.pop()


def _pieces(data: bytes) -> Iterator[bytes]:
    if 0 < len(data) <= _PIECE:
        yield data
        return
    for start in range(0, len(data), _PIECE):
        yield data[start : start + _PIECE]


def _stored_pieces(segment: FrameSlice) -> Iterator[bytes]:
    """A slice of a stored frame out of its file; OSError when that is cut while it is read."""
    file, origin = segment.frame.open()
    with file:
        file.seek(origin + segment.start)
        left = segment.length
        while left:
            piece = file.read(min(_PIECE, left))
            if not piece:
                raise OSError("a stored frame is shorter than it was when the answer began")
            left -= len(piece)
            yield piece
