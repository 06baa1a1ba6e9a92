"""Resolution levels as byte ranges of a stored frame: the TLM extension's arithmetic (healthimaging.md 7.1).

Level n is the n-th group of neighbouring tile-parts with one TPsot, in file order; in HealthImaging's frames
(one tile, one tile-part per resolution) that is resolution n, 0 the smallest. Where TPsot does not climb
through the frame, as when each tile is written out before the next one, tile-parts are no resolutions and
the frame is one level.
"""

from collections.abc import Sequence
from itertools import groupby

from dicomweb_gateway.dicom.codestream import Codestream, parse_codestream
from dicomweb_gateway.dicom.jp2_boxes import BARE_START, codestream_span, is_boxed
from dicomweb_gateway.errors import InvalidRequest


def parse_level(text: str, name: str = "level") -> int:
    """The level that `text` writes in ASCII digits, 0-based. Raises InvalidRequest that names `name`."""
    if not (text.isascii() and text.isdigit()) or len(text) > 4:
        raise InvalidRequest(f"{name} must be a whole number from 0 to 9999")
    return int(text)


def has_levels(frame: bytes) -> bool:
    """Whether `frame` is JPEG 2000 or HTJ2K, boxed or bare."""
    return is_boxed(frame) or frame.startswith(BARE_START)


def level_range(frame: bytes, start: int | None, end: int | None) -> tuple[int, int]:
    """[a, b): the bytes of `frame` from level `start` to level `end`, both 0-based and included.

    Counted in the frame as it is stored, boxes included: level 0 opens with boxes and main header, the
    last level closes with the EOC and whatever follows, so that all levels put together are the frame.
    A missing `start` is 0, a missing `end` the last level; past the last level clamps (`end`) or gives
    an empty range (`start`), as does start > end. A torn frame ends behind its last whole tile-part.

    Without any level the whole frame answers, whatever its coding. Raises InvalidRequest for levels of a
    frame that is not JPEG 2000, CorruptFrame for a torn main header.
    """
    if start is None and end is None and not has_levels(frame):
        return 0, len(frame)
    return levels_between(level_bounds(frame), start, end)


def levels_between(bounds: Sequence[int], start: int | None, end: int | None) -> tuple[int, int]:
    """`level_range` of a frame whose `level_bounds` are known; InvalidRequest when it has no levels."""
    if not bounds:
        raise InvalidRequest("this frame is not JPEG 2000, so it has no resolution levels; ask for it whole")
    last = len(bounds) - 2
    first = start or 0
    until = last if end is None else min(end, last)
    if first > until:
        return bounds[-1], bounds[-1]
    return bounds[first], bounds[until + 1]


def level_bounds(frame: bytes) -> tuple[int, ...]:
    """Where each level of a JPEG 2000 `frame` begins, then where the last one ends; the first is 0.

    Empty for a frame of another coding. Raises CorruptFrame when the main header is torn.
    """
    if not has_levels(frame):
        return ()
    offset = codestream_span(frame)[0]
    facts = parse_codestream(frame)
    end = len(frame) if facts.complete else offset + facts.body_end
    return (0, *(offset + inner for inner in _level_ends(facts)[:-1]), end)


def _level_ends(facts: Codestream) -> list[int]:
    """Ends of the levels in the bare codestream; one at least."""
    groups = [(key, list(parts)) for key, parts in groupby(facts.tile_parts, key=lambda part: part.index)]
    numbers = [number for number, _ in groups]
    if not groups or numbers != sorted(numbers):
        return [facts.body_end]
    return [parts[-1].end for _, parts in groups]
