"""The one door to the image codecs: every call into imagecodecs, its failures as UndecodablePixels.

The codecs release the interpreter lock while they work and keep no state, so threads may call freely. Which
of them run in a process of their own, and when, `decoders` says.
"""

from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from dicomweb_gateway.errors import UndecodablePixels
from dicomweb_gateway.pixels.lost_errors import lost_errors

Samples = NDArray[Any]

CODECS = f"imagecodecs {imagecodecs.__version__}"
"""What makes the streams: another version may code the same samples in other bytes."""

_PACKBITS_SPARE = 256
_PAETH, _FILTERED, _RUNS = 128, 1, 3
"""libpng's filter and zlib's strategies by their numbers."""
_WORST_JPEGLS = 4
"""No sample codes to more than four times its own bits (ISO/IEC 14495-1 A.2.1, LIMIT)."""
_HEADERS = 4096


def _guarded(name: str, codec: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Call `codec`; whatever it raises becomes UndecodablePixels that names the codec."""
    try:
        return codec(*args, **options)
    except Exception as error:
        text = str(error).strip() or type(error).__name__
        raise UndecodablePixels(f"{name}: {text}") from error


def decode_openjph(data: bytes, skip: int = 0) -> Samples:
    """HTJ2K by OpenJPH: fast, can leave out `skip` resolutions, may end at any tile-part.

    Only for reversible streams: OpenJPH as imagecodecs builds it does not clamp the overshoots of the
    irreversible wavelet, so white wraps to black.
    """
    # without a colour transform OpenJPH's planes would come one after the other
    options = {"skipres": skip or None, "planar": False}
    with lost_errors() as lost:
        samples = np.asarray(_guarded("OpenJPH", imagecodecs.htj2k_decode, data, **options))
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


def pack_packbits(rows: Samples) -> bytes:
    """`rows` (2-dimensional bytes) as one RLE segment, every row packed on its own (PS3.5 G.3.1)."""
    return bytes(_guarded("RLE", imagecodecs.packbits_encode, rows, axis=-1))


def encode_openjph(samples: Samples, decompositions: int, *, colour_transform: bool = True) -> bytes:
    """HTJ2K reversible RPCL with TLM and one tile-part per resolution.

    `colour_transform`: three samples go through the reversible transform, which decoders undo.
    """
    options: dict[str, Any] = {"reversible": True, "tlm": True, "tilepart": 1, "resolutions": decompositions}
    if samples.ndim == 3 and not colour_transform:
        # OpenJPH takes samples without a transform plane by plane only
        samples = np.ascontiguousarray(samples.transpose(2, 0, 1))
        options |= {"rgb": False, "planar": True}
    return bytes(_guarded("OpenJPH", imagecodecs.htj2k_encode, samples, **options))


def encode_openjpeg(
    samples: Samples,
    resolutions: int,
    *,
    level: int = 0,
    reversible: bool = True,
    precision: int | None = None,
    colour_transform: bool = True,
) -> bytes:
    """JPEG 2000 codestream; `level` 0 with `reversible` is lossless, else a PSNR in dB.

    `precision` in bits, None for the width of the dtype; `colour_transform` as in `encode_openjph`.
    """
    return bytes(
        _guarded(
            "OpenJPEG",
            imagecodecs.jpeg2k_encode,
            samples,
            level=level,
            codecformat="J2K",
            reversible=reversible,
            resolutions=resolutions,
            bitspersample=precision,
            mct=colour_transform,
        )
    )


def encode_charls(samples: Samples) -> bytes:
    """JPEG-LS lossless, colour interleaved by sample; `samples` unsigned, 8 or 16 bits. In SPIFF wrapping."""
    room = samples.nbytes * _WORST_JPEGLS + _HEADERS
    return bytes(_guarded("JPEG-LS", imagecodecs.jpegls_encode, samples, level=0, out=room))


def encode_lossless_jpeg(samples: Samples, colours: str | None) -> bytes:
    """JPEG Lossless, predictor 1, by libjpeg-turbo; `samples` unsigned, 8 or 16 bits.

    `colours`: "RGB", which the stream then says of itself, or "UNKNOWN"; None for grey. Nothing is converted.
    """
    return bytes(
        _guarded(
            "JPEG Lossless",
            imagecodecs.jpeg8_encode,
            samples,
            lossless=True,
            predictor=1,
            bitspersample=samples.dtype.itemsize * 8,
            colorspace=colours,
            outcolorspace=colours,
        )
    )


def encode_baseline_jpeg(samples: Samples, quality: int, colours: str | None) -> bytes:
    """Baseline JPEG of 8 bits; colour given as `colours` ("RGB" or "YCBCR") goes out as YCbCr 4:2:2."""
    return bytes(
        _guarded(
            "JPEG",
            imagecodecs.jpeg8_encode,
            samples,
            level=quality,
            colorspace=colours,
            outcolorspace="YCBCR" if colours else None,
            subsampling="422" if colours else None,
        )
    )


def encode_picture_jpeg(image: Samples, quality: int, subsampling: str | None) -> bytes:
    """A JPEG file of 8-bit grey, or of RGB with chroma `subsampling` "444" or "420"."""
    options = {"colorspace": "RGB", "outcolorspace": "YCBCR", "subsampling": subsampling}
    colour = options if image.ndim == 3 else {}
    return bytes(_guarded("image/jpeg", imagecodecs.jpeg8_encode, image, level=quality, **colour))


def encode_png(image: Samples) -> bytes:
    """A PNG file of 8-bit grey or RGB, every row as its differences from Paeth's prediction."""
    # of runs alone noisy grey packs better than of repeated strings, at a third of the time
    strategy = _RUNS if image.ndim == 2 else _FILTERED
    return bytes(
        _guarded("image/png", imagecodecs.png_encode, image, level=1, strategy=strategy, filter=_PAETH)
    )


def crc32(data: Any) -> int:
    """CRC-32 (unsigned) of contiguous bytes or samples, at a twentieth of zlib's time."""
    return int(isal_zlib.crc32(data))
