"""The same samples in each transfer syntax made on request, by other decoders than the gateway's."""

import io
from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
from pydicom import Dataset, dcmread
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.rle import _rle_decode_frame

from .compare import only_part

ELE = "1.2.840.10008.1.2.1"
FRAMES = 'multipart/related; type="*/*"; transfer-syntax={}'
PART10 = 'multipart/related; type="application/dicom"; transfer-syntax={}'

Get = Callable[[str, str], tuple[int, bytes]]
Array = np.ndarray[Any, np.dtype[Any]]

LOSSLESS = {
    "1.2.840.10008.1.2.4.90": "JPEG 2000",
    "1.2.840.10008.1.2.4.80": "JPEG-LS",
    "1.2.840.10008.1.2.4.70": "JPEG Lossless",
    "1.2.840.10008.1.2.5": "RLE",
    "1.2.840.10008.1.2.4.201": "HTJ2K",
    "1.2.840.10008.1.2.4.202": "HTJ2K RPCL",
}


def form_problem(get: Get, url: str, uid: str) -> str | None:
    """What is wrong with frame 1 and the whole instance at `url` in `uid`; "" when they are refused."""
    status, decoded = get(f"{url}/frames/1", FRAMES.format(ELE))
    if status != 200:
        return f"not decoded: {status}"
    status, body = get(f"{url}/frames/1", FRAMES.format(uid))
    if status == 406:
        return ""
    if status != 200:
        return f"{status} {body[:200]!r}"
    status, whole = get(url, PART10.format(uid))
    if status != 200:
        return f"the instance: {status} {whole[:200]!r}"
    dataset = dcmread(io.BytesIO(only_part(whole)), force=True)
    stream = only_part(body)
    if dataset.file_meta.TransferSyntaxUID != uid:
        return f"the instance says {dataset.file_meta.TransferSyntaxUID}"
    first = next(generate_frames(dataset.PixelData, number_of_frames=int(dataset.get("NumberOfFrames") or 1)))
    if first[: len(stream)] != stream or first[len(stream) :] not in (b"", b"\0"):
        return "the instance's first frame is not the frame's stream"
    samples = _decoders()[uid](stream, dataset)
    return None if _is_same(samples, only_part(decoded), dataset) else "other samples"


def _decoders() -> dict[str, Callable[[bytes, Dataset], Array]]:
    """OpenJPEG for all JPEG 2000 and HTJ2K, pydicom for RLE, and the second JPEG lossless decoder."""
    return {
        **{uid: _openjpeg for uid, name in LOSSLESS.items() if "2K" in name or "2000" in name},
        "1.2.840.10008.1.2.4.80": lambda stream, _: imagecodecs.jpegls_decode(stream),
        "1.2.840.10008.1.2.4.70": lambda stream, _: imagecodecs.jpegsof3_decode(stream),
        "1.2.840.10008.1.2.5": _rle,
    }


def _openjpeg(stream: bytes, dataset: Dataset) -> Array:
    # OpenJPEG knows no HTJ2K of more than 26 bits or so
    decode = imagecodecs.jpeg2k_decode if dataset.BitsAllocated <= 16 else imagecodecs.htj2k_decode
    return np.asarray(decode(stream))


def _rle(stream: bytes, dataset: Dataset) -> Array:
    samples, width = dataset.SamplesPerPixel, dataset.BitsAllocated // 8
    raw = _rle_decode_frame(stream, dataset.Rows, dataset.Columns, samples, dataset.BitsAllocated)
    planes = np.frombuffer(bytes(raw), f"<u{width}").reshape(samples, dataset.Rows, dataset.Columns)
    return planes[0] if samples == 1 else np.moveaxis(planes, 0, -1)


def _is_same(samples: Array, native: bytes, dataset: Dataset) -> bool:
    """Whether `samples` are those of `native`: all bits, or as many as the coding says it has."""
    width = dataset.BitsAllocated // 8
    words = np.frombuffer(native, f"<u{width}").reshape(samples.shape)
    unsigned = samples.astype(f"i{samples.dtype.itemsize}" if samples.dtype.kind == "i" else samples.dtype)
    found = unsigned.astype(f"<u{width}")
    if np.array_equal(found, words):
        return True
    mask = (1 << dataset.BitsStored) - 1
    signed_codes = dataset.PixelRepresentation == 1 and int(found.max()) <= mask
    return bool(signed_codes and np.array_equal(found & mask, words & mask))
