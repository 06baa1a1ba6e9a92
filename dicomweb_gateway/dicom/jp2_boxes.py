"""Where a JPEG 2000 codestream lies: bare, or in JP2 or JPH boxes (ISO/IEC 15444-1 annex I)."""

import struct
from collections.abc import Iterator

from dicomweb_gateway.errors import CorruptFrame

JP2_SIGNATURE = b"\x00\x00\x00\x0cjP  \r\n\x87\n"
"""The first box of every JP2 and JPH file (15444-1 I.5.1)."""

BARE_START = b"\xff\x4f\xff\x51"
"""SOC and SIZ: the start of every bare codestream."""

_MOST_BOXES = 1 << 10
"""Far above anything real; without an end to them a hostile gigabyte would be walked for minutes."""


def is_boxed(data: bytes) -> bool:
    """Whether `data` opens with the JP2 signature box."""
    return data[:12] == JP2_SIGNATURE


def codestream_span(data: bytes) -> tuple[int, int]:
    """[start, end) of the codestream in `data`: the `jp2c` box's contents, or everything when it is bare.

    A `jp2c` box cut short counts as far as the data go. Raises CorruptFrame without a codestream.
    """
    if is_boxed(data):
        for kind, start, end in _boxes(data):
            if kind == b"jp2c":
                return start, end
        raise CorruptFrame("JP2 boxes without a codestream box")
    if not data.startswith(BARE_START):
        raise CorruptFrame("neither a JPEG 2000 codestream nor JP2 boxes")
    return 0, len(data)


def unbox(data: bytes) -> bytes:
    """The bare codestream out of JP2/JPH boxes; a bare one comes back unchanged. Raises CorruptFrame."""
    start, end = codestream_span(data)
    return data if (start, end) == (0, len(data)) else bytes(data[start:end])


def _boxes(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(type, contents start, contents end) of the top-level boxes; LBox 1 is an XLBox, 0 runs to the end."""
    position = 0
    for _ in range(_MOST_BOXES):
        if position + 8 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, position)
        head = 8
        if length == 1:
            if position + 16 > len(data):
                return
            length = struct.unpack_from(">Q", data, position + 8)[0]
            head = 16
        elif length == 0:
            length = len(data) - position
        if length < head:
            raise CorruptFrame("a JP2 box is shorter than its own header")
        yield kind, position + head, min(position + length, len(data))
        position += length
    raise CorruptFrame(f"more than {_MOST_BOXES} JP2 boxes")
