"""Animated GIF, written frame by frame so that only one is in memory (dicomweb.md R-3; GIF89a)."""

from collections.abc import Iterable, Iterator
from struct import pack

from pydicom import Dataset

from dicomweb_gateway.pixels.attributes import number_of, numbers_of, tags_of
from dicomweb_gateway.pixels.encode import encode_image
from dicomweb_gateway.pixels.optionals import Samples

GIF = "image/gif"

TIMES = tags_of("RecommendedDisplayFrameRate", "CineRate", "FrameTime", "FrameTimeVector")
"""What `frame_durations` reads."""

_DEFAULT_MS = 100.0
_SHORTEST_MS, _LONGEST_MS = 20.0, 10_000.0
"""Browsers slow down what is shorter than the first; nobody waits longer than the second."""

_SCREEN, _TABLE_FLAG, _SIZE_BITS = 13, 0x80, 0x07
_EXTENSION, _IMAGE = 0x21, 0x2C
_ENDLESS = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"
_TRAILER = b"\x3b"


def frame_durations(dataset: Dataset, count: int) -> list[float]:
    """Milliseconds that each of `count` frames is shown (PS3.3 C.7.6.5).

    By RecommendedDisplayFrameRate, else CineRate, FrameTime, FrameTimeVector (whose entry n is the time from
    frame n-1 to frame n), else ten frames a second.
    """
    for keyword in ("RecommendedDisplayFrameRate", "CineRate"):
        rate = number_of(dataset, keyword)
        if rate is not None and rate > 0:
            return [_bounded(1000 / rate)] * count
    time = number_of(dataset, "FrameTime")
    if time is not None and time > 0:
        return [_bounded(time)] * count
    steps = [_bounded(step) for step in numbers_of(dataset, "FrameTimeVector")[1:]]
    last = steps[-1] if steps else _DEFAULT_MS
    return [*steps[:count], *[last] * (count - len(steps))]


def animate(images: Iterable[Samples], durations: Iterable[float]) -> Iterator[bytes]:
    """An endless animated GIF of images of one size (see `encode_image`), in pieces of one frame each.

    `durations` are in milliseconds. Nothing for no image. Raises UndecodablePixels like `encode_image`.
    """
    started = False
    for image, duration in zip(images, durations, strict=False):
        whole = encode_image(image, GIF)
        head = b"" if started else b"GIF89a" + whole[6:10] + b"\x70\0\0" + _ENDLESS
        yield head + _frame(whole, duration)
        started = True
    if started:
        yield _TRAILER


def _frame(whole: bytes, duration: float) -> bytes:
    """The one frame of the GIF file `whole` with its delay and a colour table of its own."""
    sized = whole[10] & _SIZE_BITS
    start = _SCREEN + (3 * (2 << sized) if whole[10] & _TABLE_FLAG else 0)
    table = whole[_SCREEN:start]
    while whole[start] == _EXTENSION:
        start = _after_blocks(whole, start + 2)
    if whole[start] != _IMAGE:
        raise ValueError("the image does not stand where GIF89a has it")
    flags = whole[start + 9]
    if flags & _TABLE_FLAG:
        picture = whole[start:]
    else:
        picture = (
            whole[start : start + 9] + bytes([flags | _TABLE_FLAG | sized]) + table + whole[start + 10 :]
        )
    control = pack("<4sHBB", b"\x21\xf9\x04\x00", round(duration / 10), 0, 0)
    return control + picture.removesuffix(_TRAILER)


def _after_blocks(data: bytes, position: int) -> int:
    """Where the sub-blocks that begin at `position` end."""
    while data[position]:
        position += 1 + data[position]
    return position + 1


def _bounded(duration: float | None) -> float:
    return min(_LONGEST_MS, max(_SHORTEST_MS, _DEFAULT_MS if duration is None else duration))
