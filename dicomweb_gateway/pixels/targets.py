"""Which transfer syntaxes an instance can be served in: the one table (dicomweb.md W-1 to W-3, A-9).

Negotiation, the texts of refusals and whoever describes the gateway's capabilities read it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.dicom.transfer_syntax import (
    EXPLICIT_VR_LE,
    HTJ2K_LOSSLESS,
    HTJ2K_LOSSLESS_RPCL,
    J2K_LOSSLESS,
    JPEG_BASELINE,
    JPEG_LOSSLESS_SV1,
    JPEG_LS_LOSSLESS,
    RLE,
    transfer_syntax,
)
from dicomweb_gateway.pixels.decoders import decoded_photometric

_GREY = ("MONOCHROME1", "MONOCHROME2")
_COLOUR = ("RGB", "YBR_FULL")
"""What three decoded samples must be for a compressed form to say truthfully what it holds."""


@dataclass(frozen=True, slots=True)
class Target:
    """A transfer syntax that can be made; `bits` are the values of Bits Allocated that it can hold.

    `any_pixels`: also floats, and every colour space; `lossy`: made only of lossless 8-bit images.
    """

    uid: str
    bits: tuple[int, ...]
    any_pixels: bool = False
    lossy: bool = False


TARGETS = (
    Target(EXPLICIT_VR_LE, (1, 8, 16, 32, 64), any_pixels=True),
    Target(J2K_LOSSLESS, (8, 16)),
    Target(JPEG_LS_LOSSLESS, (8, 16)),
    Target(JPEG_LOSSLESS_SV1, (8, 16)),
    Target(RLE, (8, 16, 32)),
    Target(HTJ2K_LOSSLESS_RPCL, (8, 16, 32)),
    Target(HTJ2K_LOSSLESS, (8, 16, 32)),
    Target(JPEG_BASELINE, (8,), lossy=True),
)
"""All that can be made, in the order in which a client gets them that leaves the choice to us: JPEG 2000
is what HealthImaging itself offers for lossless images (healthimaging.md 5)."""


@dataclass(frozen=True, slots=True)
class Servable:
    """The transfer syntaxes of one instance with pixel data: the stored one, and those made on request."""

    stored: str
    made: tuple[str, ...]

    def __contains__(self, uid: object) -> bool:
        return uid == self.stored or uid in self.made

    def __iter__(self) -> Iterator[str]:
        """The stored one first, the others in the order of `TARGETS`."""
        yield self.stored
        yield from (uid for uid in self.made if uid != self.stored)


@lru_cache(maxsize=1024)
def servable(stored_uid: str, pixels: PixelDescription | None) -> Servable:
    """What frames of `stored_uid` and `pixels` can be served in; `pixels` None: they are not described.

    Native frames count as stored in ELE, whichever native syntax a store keeps them in: implicit VR and big
    endian are never sent (A-10).
    """
    made = tuple(t.uid for t in TARGETS if pixels is not None and _can_make(t, stored_uid, pixels))
    stored = transfer_syntax(stored_uid)
    if stored is not None and not stored.encapsulated and EXPLICIT_VR_LE in made:
        stored_uid = EXPLICIT_VR_LE
    return Servable(stored_uid, made)


def is_stored_form(stored_uid: str, wanted_uid: str) -> bool:
    """Whether frames stored in `stored_uid` are in `wanted_uid` as they stand.

    HTJ2K Lossless takes any lossless codestream, those in RPCL order too (PS3.5 10.17, 10.18).
    """
    return wanted_uid == stored_uid or (stored_uid, wanted_uid) == (HTJ2K_LOSSLESS_RPCL, HTJ2K_LOSSLESS)


def _can_make(target: Target, stored_uid: str, pixels: PixelDescription) -> bool:
    stored = transfer_syntax(stored_uid)
    if stored is None or stored.family == "video" or pixels.bits_allocated not in target.bits:
        return False
    if target.any_pixels:
        return True
    photometric = decoded_photometric(stored_uid, pixels)
    three = pixels.samples_per_pixel == 3 and photometric in _COLOUR
    if pixels.is_float or not (three or pixels.samples_per_pixel == 1):
        return False
    whole_bytes = (pixels.bits_stored, pixels.pixel_representation) == (8, 0)
    return not target.lossy or (stored.lossless and whole_bytes and photometric in _GREY + _COLOUR)
