"""The one door to the image codecs: every call into imagecodecs, its failures as UndecodablePixels.

The codecs release the interpreter lock while they work and keep no state, so threads may call freely. Which
of them run in a process of their own, and when, `decoders` says.
"""

import sys
from collections.abc import Callable
from threading import local
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from dicomweb_gateway.errors import UndecodablePixels

Samples = NDArray[Any]

_PACKBITS_SPARE = 256


def _guarded(name: str, codec: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Call `codec`; whatever it raises becomes UndecodablePixels that names the codec."""
    try:
        return codec(*args, **options)
    except Exception as error:
        text = str(error).strip() or type(error).__name__
        raise UndecodablePixels(f"{name}: {text}") from error


class _LostErrors(local):
    """Errors of the OpenJPH call that this thread is in; None outside of one.

    imagecodecs raises what OpenJPH finds behind the main header where nobody can catch it, and hands out
    zeros from there on. Python tells such exceptions to two hooks.
    """

    found: list[str] | None = None

    def watch(self) -> None:
        """Begin to listen; the hooks are looked after again each time, since others may set them too."""
        if sys.unraisablehook is not _unraisable:
            _BEFORE["unraisablehook"], sys.unraisablehook = sys.unraisablehook, _unraisable
        if sys.excepthook is not _uncaught:
            _BEFORE["excepthook"], sys.excepthook = sys.excepthook, _uncaught
        self.found = []

    def end(self) -> list[str]:
        """What was lost since `watch`."""
        found, self.found = self.found or [], None
        return found


_LOST = _LostErrors()
_BEFORE: dict[str, Callable[..., Any]] = {}


def _unraisable(told: "sys.UnraisableHookArgs") -> None:
    if _LOST.found is None:
        _BEFORE["unraisablehook"](told)
    else:
        _LOST.found.append(str(told.exc_value))


def _uncaught(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    if _LOST.found is None:
        _BEFORE["excepthook"](kind, error, trace)
    else:
        _LOST.found.append(str(error))


def decode_openjph(data: bytes, skip: int = 0) -> Samples:
    """HTJ2K by OpenJPH: fast, can leave out `skip` resolutions, may end at any tile-part.

    Only for reversible streams: OpenJPH as imagecodecs builds it does not clamp the overshoots of the
    irreversible wavelet, so white wraps to black.
    """
    _LOST.watch()
    try:
        samples = np.asarray(_guarded("OpenJPH", imagecodecs.htj2k_decode, data, skipres=skip or None))
    finally:
        lost = _LOST.end()
    if lost:
        raise UndecodablePixels("OpenJPH: the codestream is damaged")
    return samples


def decode_openjpeg(data: bytes) -> Samples:
    """JPEG 2000 and HTJ2K by OpenJPEG, all resolutions, colour transform undone."""
    return np.asarray(_guarded("OpenJPEG", imagecodecs.jpeg2k_decode, data))


def decode_jpeg(data: bytes, source: str | None, target: str | None) -> Samples:
    """Sequential, progressive and lossless JPEG of 8, 12 and 16 bits by libjpeg-turbo.

    `source` and `target` are the colour spaces "RGB" or "YCBCR"; the same twice converts nothing, None
    leaves it to the codec (grey).
    """
    return np.asarray(
        _guarded("JPEG", imagecodecs.jpeg8_decode, data, colorspace=source, outcolorspace=target)
    )


def decode_lossless_jpeg(data: bytes) -> Samples:
    """JPEG Lossless (SOF3) by the decoder that takes streams which libjpeg-turbo refuses."""
    return np.ascontiguousarray(_guarded("JPEG Lossless", imagecodecs.jpegsof3_decode, data))


def decode_jpegls(data: bytes) -> Samples:
    """JPEG-LS by CharLS, every interleave mode; samples come pixel-interleaved."""
    return np.asarray(_guarded("JPEG-LS", imagecodecs.jpegls_decode, data))


def decode_jpegxl(data: bytes) -> Samples:
    """JPEG XL by libjxl; colour comes as RGB. Orientation is left as coded (PS3.5 A.4.12)."""
    return np.asarray(_guarded("JPEG XL", imagecodecs.jpegxl_decode, data, keeporientation=True))


def unpack_packbits(data: bytes, size: int) -> bytes:
    """One RLE segment unpacked (PS3.5 G.3.1), cut to `size` bytes. Raises when it holds less."""
    # a segment of a hundred megabytes could unpack to ten gigabytes
    room = bytearray(2 * size + _PACKBITS_SPARE)
    unpacked: bytes = bytes(_guarded("RLE", imagecodecs.packbits_decode, data, out=room))
    if len(unpacked) < size:
        raise UndecodablePixels(f"RLE: a segment holds {len(unpacked)} of {size} bytes")
    return unpacked[:size]


def encode_openjph(samples: Samples, decompositions: int) -> bytes:
    """HTJ2K reversible RPCL with TLM and one tile-part per resolution."""
    return bytes(
        _guarded(
            "OpenJPH",
            imagecodecs.htj2k_encode,
            samples,
            reversible=True,
            tlm=True,
            tilepart=1,
            resolutions=decompositions,
        )
    )


def encode_openjpeg(samples: Samples, resolutions: int, *, level: int = 0, reversible: bool = True) -> bytes:
    """JPEG 2000 codestream; `level` 0 with `reversible` is lossless, else a PSNR in dB."""
    return bytes(
        _guarded(
            "OpenJPEG",
            imagecodecs.jpeg2k_encode,
            samples,
            level=level,
            codecformat="J2K",
            reversible=reversible,
            resolutions=resolutions,
        )
    )
