"""JPEG 2000 family marker parser: SIZ, COD, tile-parts; bytes in, frozen values out.

ISO/IEC 15444-1 annex A, 15444-15 (HTJ2K); boxes are a matter of `jp2_boxes.py`. Facts on HealthImaging's own
frames in healthimaging.md 3.2. TLM is only noticed, never trusted: tile-parts are found by walking SOT
markers.
"""

import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypedDict

from dicomweb_gateway.dicom.jp2_boxes import codestream_span
from dicomweb_gateway.errors import CorruptFrame

SIZ, COD, TLM, SOT, EOC = 0xFF51, 0xFF52, 0xFF55, 0xFF90, 0xFFD9
PROGRESSIONS = ("LRCP", "RLCP", "RPCL", "PCRL", "CPRL")

_HEADS = 64
"""Contents of segments that are remembered: of 64 KB at most, usually 50 bytes."""
_SOT_LENGTH = 12
_LARGEST_COMPONENT_COUNT = 16384
_LARGEST_TILE_COUNT = 65535
_LARGEST_DECOMPOSITION_COUNT = 32
_MOST_TILE_PARTS = 1 << 18
_MOST_SEGMENTS = 1 << 15
"""Far above anything real; without an end to them a hostile gigabyte would be walked for minutes."""


@dataclass(frozen=True, slots=True)
class TilePart:
    """One tile-part; `tile` and `index` (TPsot) are 0-based, [start, end) are its bytes from SOT on."""

    tile: int
    index: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Codestream:
    """Main header facts and tile-parts of one bare codestream; offsets count from its first byte.

    `width` and `height` are those of the image area. `precision` is the largest of all components in bits,
    `signed` whether any component is; `uniform`: all components are alike and none is subsampled.
    `tiles` counts the image's tiles, not its tile-parts. `decompositions` counts wavelet levels, so there
    are one more resolutions. `header_end` is the offset of the first SOT. `tile_parts` holds only the parts
    that lie wholly inside the data. `complete`: the EOC is there, every tile-part lies inside the data, and
    no tile lacks a part as far as TNsot tells. `siz` and `cod` are the contents of these segments, the first
    of a kind; `markers` are those of all main header segments.
    """

    width: int
    height: int
    components: int
    precision: int
    signed: bool
    uniform: bool
    tiles: int
    decompositions: int
    reversible: bool
    colour_transform: bool
    high_throughput: bool
    progression: str
    has_tlm: bool
    header_end: int
    tile_parts: tuple[TilePart, ...]
    complete: bool
    origin: tuple[int, int] = (0, 0)
    siz: bytes = field(default=b"", compare=False, repr=False)
    cod: bytes = field(default=b"", compare=False, repr=False)
    markers: frozenset[int] = field(default=frozenset(), compare=False, repr=False)

    @property
    def body_end(self) -> int:
        """Offset behind the last whole tile-part."""
        return self.tile_parts[-1].end if self.tile_parts else self.header_end


def parse_codestream(data: bytes) -> Codestream:
    """Facts of the codestream in `data`, boxed or bare; offsets count from the codestream's own first byte.

    Raises CorruptFrame when the main header is torn or contradicts itself. Torn tile-parts are no error:
    they are left out and `complete` is false.
    """
    start, end = codestream_span(data)
    stream = memoryview(data)[start:end]
    segments, header_end = _main_header(stream)
    if SIZ not in segments or COD not in segments:
        raise CorruptFrame("the codestream's main header lacks SIZ or COD")
    siz, cod = bytes(segments[SIZ]), bytes(segments[COD])
    try:
        image, coding = _read_siz(siz), _read_cod(cod)
    except struct.error as error:
        raise CorruptFrame("the codestream's main header is torn") from error
    parts, ended = _tile_parts(stream, header_end)
    return Codestream(
        **image,
        **coding,
        has_tlm=TLM in segments,
        header_end=header_end,
        tile_parts=parts,
        complete=ended and _has_every_tile(stream, parts, image["tiles"]),
        siz=siz,
        cod=cod,
        markers=frozenset(segments),
    )


def header_segments(stream: bytes | memoryview) -> Iterator[tuple[int, int, int]]:
    """(marker, start, end) of each main header segment of a bare codestream, SIZ to the one before the SOT.

    `start` is the marker's own offset. Raises CorruptFrame when no SOT ends the header.
    """
    position = 2
    for _ in range(_MOST_SEGMENTS):
        if position + 4 > len(stream):
            break
        marker, length = struct.unpack_from(">HH", stream, position)
        if marker == SOT:
            return
        if marker < 0xFF00 or length < 2:
            break
        yield marker, position, position + 2 + length
        position += 2 + length
    raise CorruptFrame("the codestream ends, or goes astray, inside its main header")


def _main_header(stream: memoryview) -> tuple[dict[int, memoryview], int]:
    """Contents of each kind of main header segment (the first of a kind), and the offset of the first SOT."""
    found: dict[int, memoryview] = {}
    end = 2
    for marker, start, end in header_segments(stream):
        found.setdefault(marker, stream[start + 4 : end])
    return found, end


class _Image(TypedDict):
    width: int
    height: int
    origin: tuple[int, int]
    components: int
    precision: int
    signed: bool
    uniform: bool
    tiles: int


class _Coding(TypedDict):
    decompositions: int
    reversible: bool
    colour_transform: bool
    high_throughput: bool
    progression: str


@lru_cache(maxsize=_HEADS)
def _read_cod(cod: bytes) -> _Coding:
    """What COD says of the coding (15444-1 A.6.1), remembered: the frames of a series say the same.

    Raises CorruptFrame when that is impossible, struct.error when the segment is torn.
    """
    progression, transform, decompositions, style, wavelet = struct.unpack_from(">xBxxBBxxBB", cod)
    if progression >= len(PROGRESSIONS):
        raise CorruptFrame(f"unknown progression order {progression}")
    if decompositions > _LARGEST_DECOMPOSITION_COUNT:
        raise CorruptFrame(f"{decompositions} decompositions")
    return {
        "decompositions": decompositions,
        "reversible": wavelet == 1,
        "colour_transform": transform == 1,
        "high_throughput": bool(style & 0x40),
        "progression": PROGRESSIONS[progression],
    }


@lru_cache(maxsize=_HEADS)
def _read_siz(siz: bytes) -> _Image:
    """What SIZ says of the image (15444-1 A.5.1), remembered; raises as `_read_cod` does."""
    right, bottom, left, top, tile_wide, tile_high, tile_left, tile_top, components = struct.unpack_from(
        ">2xIIIIIIIIH", siz
    )
    width, height = right - left, bottom - top
    if min(width, height, tile_wide, tile_high) < 1 or not 1 <= components <= _LARGEST_COMPONENT_COUNT:
        raise CorruptFrame("SIZ describes an empty or impossible image")
    if not (tile_left <= left < tile_left + tile_wide and tile_top <= top < tile_top + tile_high):
        raise CorruptFrame("SIZ places the first tile outside the image")
    kinds = [struct.unpack_from(">BBB", siz, 36 + 3 * n) for n in range(components)]
    if not all(across and down for _, across, down in kinds):
        raise CorruptFrame("SIZ separates the samples of a component by nothing")
    tiles = -(-(right - tile_left) // tile_wide) * -(-(bottom - tile_top) // tile_high)
    if tiles > _LARGEST_TILE_COUNT:
        raise CorruptFrame(f"SIZ cuts the image into {tiles} tiles")
    return {
        "width": width,
        "height": height,
        "origin": (left, top),
        "components": components,
        "precision": max((depth & 0x7F) + 1 for depth, _, _ in kinds),
        "signed": any(depth & 0x80 for depth, _, _ in kinds),
        "uniform": set(kinds) == {(kinds[0][0], 1, 1)},
        "tiles": tiles,
    }


def _tile_parts(stream: memoryview, position: int) -> tuple[tuple[TilePart, ...], bool]:
    """The tile-parts that lie wholly in `stream` from the first SOT on, and whether the EOC follows them.

    Psot 0 means up to the EOC (15444-1 A.4.2).
    """
    parts: list[TilePart] = []
    while position + _SOT_LENGTH <= len(stream):
        marker, tile, length, index = struct.unpack_from(">H2xHIB", stream, position)
        if marker != SOT:
            break
        end = position + length if length else _end_of_image(stream)
        if end > len(stream) or end < position + _SOT_LENGTH:
            return tuple(parts), False
        parts.append(TilePart(tile, index, position, end))
        if len(parts) > _MOST_TILE_PARTS:
            raise CorruptFrame(f"more than {_MOST_TILE_PARTS} tile-parts")
        position = end
    return tuple(parts), bool(parts) and bytes(stream[position : position + 2]) == EOC.to_bytes(2, "big")


def _has_every_tile(stream: memoryview, parts: tuple[TilePart, ...], tiles: int) -> bool:
    """Whether every tile has a part, and as many as its TNsot says; 0 there means unknown (15444-1 A.4.2).

    Decoders show a tile without data as black.
    """
    found = Counter(part.tile for part in parts)
    if len(found) != tiles or max(found) >= tiles:
        return False
    return all(stream[part.start + 11] <= found[part.tile] for part in parts)


def _end_of_image(stream: memoryview) -> int:
    """Offset of a final EOC, which one pad byte may follow (PS3.5 A.4); the stream's end without one."""
    for end in (len(stream) - 2, len(stream) - 3):
        if bytes(stream[end : end + 2]) == EOC.to_bytes(2, "big"):
            return end
    return len(stream)
