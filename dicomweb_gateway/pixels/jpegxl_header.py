"""The image size that opens a JPEG XL codestream, bare or in boxes (ISO/IEC 18181-1 and -2)."""

from dicomweb_gateway.errors import UndecodablePixels

_BARE = b"\xff\x0a"
_CONTAINER = b"\x00\x00\x00\x0cJXL \r\n\x87\n"
_SIZE_BITS = (9, 13, 18, 30)
_MOST_BOXES = 1 << 10
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


class _Bits:
    """Bits of the codestream, lowest first; beyond the end they are 0."""

    def __init__(self, data: bytes) -> None:
        self._left = int.from_bytes(data, "little")

    def take(self, count: int) -> int:
        value = self._left & ((1 << count) - 1)
        self._left >>= count
        return value


def read_jpegxl_size(data: bytes) -> tuple[int, int]:
    """(width, height) in pixels, before any orientation. Raises UndecodablePixels when it is not JPEG XL."""
    bits = _Bits(_codestream(data)[2:16])
    small = bits.take(1)
    height = _side(bits, small)
    ratio = bits.take(3)
    if ratio == 0:
        return _side(bits, small), height
    across, down = _RATIOS[ratio - 1]
    return height * across // down, height


def _side(bits: _Bits, small: int) -> int:
    if small:
        return (bits.take(5) + 1) * 8
    return bits.take(_SIZE_BITS[bits.take(2)]) + 1


def _codestream(data: bytes) -> bytes:
    """The opening of the codestream: the data itself, or the first `jxlc` or `jxlp` box."""
    if data.startswith(_BARE):
        return data[:64]
    position = 0
    for _ in range(_MOST_BOXES):
        if not data.startswith(_CONTAINER) or position + 8 > len(data):
            break
        length, kind = int.from_bytes(data[position : position + 4], "big"), data[position + 4 : position + 8]
        start = position + (16 if length == 1 else 8) + (4 if kind == b"jxlp" else 0)
        if kind in (b"jxlc", b"jxlp") and data.startswith(_BARE, start):
            return data[start : start + 64]
        if length == 1:
            length = int.from_bytes(data[position + 8 : position + 16], "big")
        if length < 8:
            break
        position += length
    raise UndecodablePixels("JPEG XL: no codestream")
