"""Frames and pixel descriptions out of whole DICOM files, for the pixel tests."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pydicom
from pydicom.encaps import generate_frames

from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.dicom.transfer_syntax import EXPLICIT_VR_BE, IMPLICIT_VR_LE, TRANSFER_SYNTAXES
from dicomweb_gateway.pixels.native import SUBSAMPLED, swap_bytes
from tests.conftest import corpus_folder

KEYWORDS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


def describe(dataset: pydicom.Dataset) -> PixelDescription:
    return PixelDescription(
        rows=dataset.Rows,
        columns=dataset.Columns,
        samples_per_pixel=dataset.get("SamplesPerPixel", 1),
        bits_allocated=dataset.BitsAllocated,
        bits_stored=dataset.get("BitsStored", dataset.BitsAllocated),
        high_bit=dataset.get("HighBit", dataset.BitsAllocated - 1),
        pixel_representation=dataset.get("PixelRepresentation", 0),
        photometric_interpretation=dataset.PhotometricInterpretation,
        planar_configuration=dataset.get("PlanarConfiguration", 0) or 0,
        number_of_frames=int(dataset.get("NumberOfFrames", 1) or 1),
        keyword=next(keyword for keyword in KEYWORDS if keyword in dataset),
    )


def frames_of(dataset: pydicom.Dataset, uid: str, pixels: PixelDescription) -> list[bytes]:
    """The coded frames, one bytes object each; 1-bit ones shifted to begin on a byte."""
    element = dataset[pixels.keyword]
    count = pixels.number_of_frames
    if TRANSFER_SYNTAXES[uid].encapsulated:
        return list(generate_frames(element.value, number_of_frames=count))
    data = element.value
    if uid == EXPLICIT_VR_BE and pixels.bits_allocated == 8 and element.VR == "OW":
        data = swap_bytes(data)
    if pixels.is_packed:
        bits = np.unpackbits(np.frombuffer(data, "u1"), bitorder="little")[: count * pixels.frame_bits]
        return [np.packbits(row, bitorder="little").tobytes() for row in bits.reshape(count, -1)]
    length = pixels.frame_length
    if pixels.photometric_interpretation in SUBSAMPLED:
        length = length // 3 * 2
    return [data[start : start + length] for start in range(0, count * length, length)]


def open_file(path: Any) -> tuple[pydicom.Dataset, str, PixelDescription]:
    """Data set, transfer syntax (Implicit VR LE where none is named) and description."""
    dataset = pydicom.dcmread(path, force=True)
    meta = getattr(dataset, "file_meta", pydicom.Dataset())
    return dataset, str(meta.get("TransferSyntaxUID", IMPLICIT_VR_LE)), describe(dataset)


def expected_entries() -> Iterator[dict[str, Any]]:
    """EXPECTED.json's entries; none where there is no corpus."""
    listing = corpus_folder() / "EXPECTED.json"
    if listing.exists():
        yield from json.loads(listing.read_text())["entries"]
