"""Cuts the pixel element of a file into its frames, without decoding any (PS3.5 8.1.1, A.4)."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.encaps import generate_fragments, generate_frames

from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.dicom.transfer_syntax import EXPLICIT_VR_BE, EXPLICIT_VR_LE
from dicomweb_gateway.emulator.ingest.document import PIXEL_ELEMENTS
from dicomweb_gateway.errors import UnreadableDicom
from dicomweb_gateway.pixels.native import is_subsampled, swap_bytes

_EXTENDED_OFFSETS, _EXTENDED_LENGTHS = 0x7FE00001, 0x7FE00002
_UNDEFINED_LENGTH = 0xFFFFFFFF
_MAX_FRAMES = 2**31 - 1


def pixel_element(dataset: Dataset) -> RawDataElement | None:
    """The element that holds the pixels, None when there is none or it is empty."""
    for tag in PIXEL_ELEMENTS:
        if tag in dataset:
            element = dataset.get_item(tag, keep_deferred=True)
            if isinstance(element, RawDataElement) and element.value:
                return element
    return None


def is_undefined_length(element: RawDataElement) -> bool:
    """Whether the element was written without a length, as encapsulated pixel data must be (PS3.5 A.4)."""
    return element.length == _UNDEFINED_LENGTH


def describe_pixels(dataset: Dataset, element: RawDataElement) -> PixelDescription:
    """The Image Pixel module of a data set; UnreadableDicom when the frames have no size."""
    rows, columns = _integer(dataset, "Rows"), _integer(dataset, "Columns")
    if not rows or not columns or rows < 0 or columns < 0:
        raise UnreadableDicom("there is pixel data, but Rows or Columns is missing or zero")
    keyword = PIXEL_ELEMENTS[int(element.tag)]
    width = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}.get(keyword)
    allocated = width or _integer(dataset, "BitsAllocated") or 16
    stored = _integer(dataset, "BitsStored") or allocated
    high_bit = _integer(dataset, "HighBit")
    return PixelDescription(
        rows=rows,
        columns=columns,
        samples_per_pixel=_integer(dataset, "SamplesPerPixel") or 1,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=stored - 1 if high_bit is None else high_bit,
        pixel_representation=1 if _integer(dataset, "PixelRepresentation") == 1 else 0,
        photometric_interpretation=_word(dataset, "PhotometricInterpretation") or "MONOCHROME2",
        planar_configuration=1 if _integer(dataset, "PlanarConfiguration") == 1 else 0,
        number_of_frames=min(max(_integer(dataset, "NumberOfFrames") or 1, 1), _MAX_FRAMES),
        keyword=keyword,
    )


def in_byte_order(
    element: RawDataElement, pixels: PixelDescription, transfer_syntax_uid: str
) -> tuple[bytes, str]:
    """The native pixel bytes and the transfer syntax to decode them as.

    Pixels of up to 8 bits lie swapped in the 16-bit words of a big-endian OW (PS3.5 A.3): they are put into
    byte order here, and are little endian from then on.
    """
    data = element.value or b""
    if transfer_syntax_uid != EXPLICIT_VR_BE or pixels.bits_allocated > 8:
        return data, transfer_syntax_uid
    return (swap_bytes(data) if element.VR == "OW" else data), EXPLICIT_VR_LE


def native_frames(data: bytes, pixels: PixelDescription) -> Iterator[bytes]:
    """The native frames of an uncompressed object, each starting on a byte of its own.

    1-bit frames lie bit after bit in the file and need not start on a byte; they come out re-aligned, least
    significant bit first. All others come out as they lie there. UnreadableDicom when they are not all there.
    """
    bits, count = pixels.frame_bits, pixels.number_of_frames
    if is_subsampled(data, replace(pixels, rows=pixels.rows * count)):
        bits = bits * 2 // 3
    needed = (bits * count + 7) // 8
    if len(data) < needed:
        raise UnreadableDicom(
            f"pixel data is too short: {count} frame(s) of {pixels.columns} x {pixels.rows} need {needed} "
            f"bytes, the file holds {len(data)}"
        )
    if pixels.is_packed:
        yield from _packed_frames(data, bits, count)
        return
    size = (bits + 7) // 8
    for index in range(count):
        yield data[index * size : (index + 1) * size]


def encapsulated_frames(dataset: Dataset, data: bytes, pixels: PixelDescription) -> list[bytes]:
    """The compressed frames, fragments joined; UnreadableDicom when they cannot be told apart."""
    try:
        frames = _by_offsets(dataset, data, pixels.number_of_frames)
    except Exception as error:
        frames = _by_fragments(data, pixels.number_of_frames, error)
    if len(frames) < pixels.number_of_frames:
        raise UnreadableDicom(
            f"{pixels.number_of_frames} frames are declared, the pixel data holds {len(frames)}"
        )
    return frames[: pixels.number_of_frames]


def whole_object(data: bytes) -> bytes:
    """All fragments joined: a video stream (PS3.5 A.4.5 ff.)."""
    try:
        fragments = list(generate_fragments(data))
    except Exception as error:
        raise UnreadableDicom(f"the video stream cannot be delimited: {error}") from error
    has_offset_table = len(fragments) > 1
    return b"".join(fragments[1:] if has_offset_table else fragments)


def _by_offsets(dataset: Dataset, data: bytes, count: int) -> list[bytes]:
    extended = None
    if _EXTENDED_OFFSETS in dataset and _EXTENDED_LENGTHS in dataset:
        extended = (
            bytes(dataset.get_item(_EXTENDED_OFFSETS, keep_deferred=True).value),
            bytes(dataset.get_item(_EXTENDED_LENGTHS, keep_deferred=True).value),
        )
    return list(generate_frames(data, number_of_frames=count, extended_offsets=extended))


def _by_fragments(data: bytes, count: int, cause: Exception) -> list[bytes]:
    """A wrong offset table is no loss when there is one fragment a frame, or only one frame."""
    try:
        fragments = list(generate_fragments(data))[1:]
    except Exception as error:
        raise UnreadableDicom(f"the frames cannot be delimited: {error}") from error
    if not fragments or (count > 1 and len(fragments) != count):
        raise UnreadableDicom(f"the frames cannot be delimited: {cause}") from cause
    return [b"".join(fragments)] if count == 1 else fragments


def _packed_frames(data: bytes, bits: int, count: int) -> Iterator[bytes]:
    words = np.frombuffer(data, np.uint8)
    for index in range(count):
        first, last = index * bits, (index + 1) * bits
        unpacked = np.unpackbits(words[first // 8 : (last + 7) // 8], bitorder="little")
        yield np.packbits(unpacked[first % 8 : first % 8 + bits], bitorder="little").tobytes()


def _integer(dataset: Dataset, keyword: str) -> int | None:
    """The first value as int, also where a file has text or several values; None when there is none."""
    try:
        value = dataset.get(keyword)
        if value is not None and not isinstance(value, str | int | float):
            value = value[0]
        return None if value is None else int(float(value))
    except Exception:
        return None


def _word(dataset: Dataset, keyword: str) -> str:
    try:
        return str(dataset.get(keyword) or "").strip()
    except Exception:
        return ""
