"""Lookup table elements of a data set: descriptors, plain and segmented data (PS3.3 C.7.9, C.11)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from pydicom import Dataset

from dicomweb_gateway.pixels.attributes import value_of
from dicomweb_gateway.pixels.lut import Lut
from dicomweb_gateway.pixels.optionals import Samples

_MOST_ENTRIES = 65536
_DISCRETE, _LINEAR, _INDIRECT = 0, 1, 2


def read_lut(
    dataset: Dataset, descriptor: str, data: str, *, signed: bool, segmented: str | None = None
) -> Lut | None:
    """The table of keywords `descriptor` and `data` (or `segmented`); None when absent or beyond repair.

    `signed`: the input is signed, so a first mapped value that was read as unsigned is put right. Entries
    of 8 bits may stand in bytes or in words; the length tells.
    """
    numbers = _integers(value_of(dataset, descriptor))
    if len(numbers) != 3:
        return None
    entries, first, bits = numbers[0] & 0xFFFF or _MOST_ENTRIES, numbers[1], numbers[2]
    if signed and first > 0x7FFF:
        first -= 0x10000
    if not 1 <= bits <= 16:
        bits = 16
    values = _entries(value_of(dataset, data), entries)
    if values is None and segmented is not None:
        values = _expanded(value_of(dataset, segmented), entries, bits)
    return None if values is None or not len(values) else Lut(first, values[:entries], bits)


def read_palette(dataset: Dataset, *, signed: bool) -> tuple[Lut, Lut, Lut] | None:
    """Red, green and blue tables with 8-bit values, or None when one is missing (PS3.3 C.7.6.3.1.5).

    16-bit entries give their high byte, unless no entry uses it: then somebody wrote 8-bit values.
    """
    tables = [
        read_lut(
            dataset,
            f"{name}PaletteColorLookupTableDescriptor",
            f"{name}PaletteColorLookupTableData",
            segmented=f"Segmented{name}PaletteColorLookupTableData",
            signed=signed,
        )
        for name in ("Red", "Green", "Blue")
    ]
    red, green, blue = tables
    if red is None or green is None or blue is None:
        return None
    wide = any(int(table.values.max()) > 0xFF for table in (red, green, blue))
    return _narrow(red, wide), _narrow(green, wide), _narrow(blue, wide)


def _narrow(table: Lut, wide: bool) -> Lut:
    values = table.values >> 8 if wide else table.values
    return Lut(table.first, values.astype("u1"), 8)


def _integers(value: Any) -> list[int]:
    if value is None or isinstance(value, (bytes, str)):
        return []
    try:
        return (
            [int(item) for item in value] if isinstance(value, Sequence) or hasattr(value, "__iter__") else []
        )
    except (TypeError, ValueError):
        return []


def _entries(value: Any, entries: int) -> Samples | None:
    """Table entries as uint16, out of bytes (OW, OB) or numbers (US, SS); None without any."""
    if isinstance(value, bytes):
        width = 1 if len(value) < entries * 2 else 2
        return np.frombuffer(value, "u1" if width == 1 else "<u2", len(value) // width).astype("u2")
    numbers = _integers([value] if isinstance(value, int) else value)
    return np.array([number & 0xFFFF for number in numbers], "u2") if numbers else None


def _expanded(value: Any, entries: int, bits: int) -> Samples | None:
    """Segmented data expanded (PS3.3 C.7.9.2.1 to .3) to at most `entries` values; None when torn."""
    if isinstance(value, bytes):
        width = 1 if bits == 8 else 2
        words = np.frombuffer(value, "u1" if width == 1 else "<u2", len(value) // width).tolist()
    else:
        words = _integers(value)
    segments = _segments_of(words)
    expanded: list[int] = []
    for number, (opcode, length, payload) in enumerate(segments):
        if opcode == _INDIRECT:
            start = _segment_at(segments, payload[0] | payload[1] << (8 if bits == 8 else 16))
            for inner in segments[start : min(start + length, number)] if start is not None else ():
                _append(expanded, inner)
        else:
            _append(expanded, (opcode, length, payload))
        if len(expanded) >= entries:
            break
    return np.array(expanded[:entries], "u2") if expanded else None


_Segment = tuple[int, int, list[int]]


def _segments_of(words: Sequence[int]) -> list[_Segment]:
    """(opcode, length, payload) of each whole segment; an unknown opcode ends the list (often a pad byte)."""
    found: list[_Segment] = []
    position = 0
    while position + 2 <= len(words):
        opcode, length = words[position], words[position + 1]
        size = {_DISCRETE: length, _LINEAR: 1, _INDIRECT: 2}.get(opcode)
        if size is None or position + 2 + size > len(words):
            break
        found.append((opcode, length, list(words[position + 2 : position + 2 + size])))
        position += 2 + size
    return found


def _segment_at(segments: Sequence[_Segment], offset: int) -> int | None:
    """Index of the segment that begins `offset` words into the data."""
    position = 0
    for number, (_, _, payload) in enumerate(segments):
        if position == offset:
            return number
        position += 2 + len(payload)
    return None


def _append(expanded: list[int], segment: _Segment) -> None:
    """Append what one discrete or linear segment stands for; a linear one starts at the last value."""
    opcode, length, payload = segment
    if opcode == _DISCRETE:
        expanded.extend(payload)
    elif opcode == _LINEAR and expanded and length:
        start, end = expanded[-1], payload[0]
        expanded.extend(round(start + (end - start) * step / length) for step in range(1, length + 1))
