"""Whether the structure of a JPEG 2000 codestream is in proportion to its length, and plain enough to trust.

Decoders allocate and loop over tiles, precincts and layers before they look at a byte of data, so a header of
a hundred bytes can ask for gigabytes or hours (ISO/IEC 15444-1 annexes A and B).
"""

import struct
from functools import lru_cache

from dicomweb_gateway.dicom.codestream import COD, SIZ, Codestream
from dicomweb_gateway.errors import UndecodablePixels
from dicomweb_gateway.pixels.samples import guard_length

_MOST_COMPONENTS = 4
_PACKETS_TO_A_BYTE = 4
"""A packet takes a byte at least; partial tiles at the edges are counted as whole ones, hence the four."""
_PACKETS_OF_ANY_IMAGE = 1 << 12
_LARGEST_BLOCK = 12
"""xcb + ycb at most (A.6.1)."""

_PLAIN_BYTES = 64 << 20
_PLAIN_TILES = 4096
_PLAIN_LAYERS = 16
_PLAIN_SEGMENTS = {SIZ, COD, 0xFF50, 0xFF55, 0xFF56, 0xFF57, 0xFF59, 0xFF5C, 0xFF63, 0xFF64}
"""CAP, TLM, PRF, PLM, CPF, QCD, CRG, COM beside SIZ and COD: nothing that changes parameters on the way."""
_PLT, _COM, _SOD = 0xFF58, 0xFF64, b"\xff\x93"
_MOST_PART_SEGMENTS = 256


def guard_structure(stream: bytes, facts: Codestream) -> int:
    """The bytes of the decoded image (in words of 1, 2 or 4), when the bare `stream` can honestly hold it.

    Raises UndecodablePixels for more than four components, an image out of proportion (`guard_length`),
    impossible code-blocks, or more packets than there are bytes.
    """
    if facts.components > _MOST_COMPONENTS:
        raise UndecodablePixels(f"the codestream has {facts.components} components")
    length = facts.width * facts.height * facts.components * _word(facts.precision)
    guard_length(length, len(stream))
    packets = _packets(facts.siz, facts.cod, facts.components * facts.tiles)
    if packets > len(stream) * _PACKETS_TO_A_BYTE + _PACKETS_OF_ANY_IMAGE:
        raise UndecodablePixels(f"a codestream of {len(stream)} bytes claims to hold {packets} packets")
    return length


def is_plain(stream: bytes, facts: Codestream, length: int) -> bool:
    """Whether the stream uses nothing but what every encoder writes, `length` being its decoded bytes.

    Such streams decode in time and memory that grow with the image alone. Not plain are parameters that
    change between components, tiles or progressions, packed packet headers, and a tile-part that does not
    say how long it is: OpenJPH takes one that is cut short for whole.
    """
    return (
        length <= _PLAIN_BYTES
        and facts.tiles <= _PLAIN_TILES
        and _layers(facts.cod) <= _PLAIN_LAYERS
        and facts.markers <= _PLAIN_SEGMENTS
        and all(_is_plain_part(stream, part.start, part.end) for part in facts.tile_parts)
    )


def has_open_part(stream: bytes, facts: Codestream) -> bool:
    """Whether a tile-part says no length (Psot 0, A.4.2), so that nothing shows a cut but the decoder."""
    return any(stream[part.start + 6 : part.start + 10] == bytes(4) for part in facts.tile_parts)


def _word(precision: int) -> int:
    return 1 if precision <= 8 else 2 if precision <= 16 else 4


def _layers(cod: bytes) -> int:
    layers: int = struct.unpack_from(">xxH", cod)[0]
    return layers


@lru_cache(maxsize=64)
def _packets(siz: bytes, cod: bytes, tile_components: int) -> int:
    """Packets of the image: one for each layer and precinct of each resolution, component and tile (B.6)."""
    right, bottom, tile_wide, tile_high = struct.unpack_from(">2xII8xII", siz)
    levels = cod[5]
    precincts = cod[10 : 11 + levels] if cod[0] & 1 else b"\xff" * (levels + 1)
    across, down = (cod[6] & 15) + 2, (cod[7] & 15) + 2
    # precincts one sample wide or high are for the lowest resolution alone; OpenJPH dies of others (A.6.1)
    thin = any(size & 15 == 0 or size >> 4 == 0 for size in precincts[1:])
    if len(precincts) <= levels or thin or max(across, down) > 10 or across + down > _LARGEST_BLOCK:
        raise UndecodablePixels("the codestream has impossible code-blocks or precincts")
    wide, high = min(tile_wide, right), min(tile_high, bottom)
    count = 0
    for resolution, size in enumerate(precincts):
        scale = levels - resolution
        count += -(-wide >> scale + (size & 15)) * -(-high >> scale + (size >> 4))
    return count * tile_components * max(1, _layers(cod))


def _is_plain_part(stream: bytes, start: int, end: int) -> bool:
    """Whether a tile-part says its length and has only packet lengths and comments before its data."""
    if stream[start + 6 : start + 10] == bytes(4):
        return False
    position = start + 12
    for _ in range(_MOST_PART_SEGMENTS):
        if stream[position : position + 2] == _SOD:
            return True
        if position + 4 > end:
            break
        marker, length = struct.unpack_from(">HH", stream, position)
        if marker not in (_PLT, _COM):
            break
        position += 2 + length
    return False
