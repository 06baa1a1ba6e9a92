"""The display pipeline P-1 to P-7 once more, out of pydicom's own functions: what our pictures are held to.

Nothing of `dicomweb_gateway.pixels` is used but the decoders of codings for which pydicom has no decoder
here; `test_decoders.py` holds those against checksums of other decoders.
"""

from contextlib import suppress
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.pixels import pixel_array
from pydicom.pixels.processing import (
    apply_color_lut,
    apply_modality_lut,
    apply_voi_lut,
    convert_color_space,
)
from pydicom.uid import UID

from dicomweb_gateway.pixels.decoders import decode_frame, decoded_photometric
from tests.pixels.samples_of_files import describe, frames_of

_COLOURS_OF_CODECS = {"YBR_RCT": "RGB", "YBR_ICT": "RGB"}
"""What a JPEG 2000 decoder hands out."""

Floats = np.ndarray[Any, np.dtype[np.float64]]


def reference_image(dataset: Dataset, uid: str, frame_index: int) -> Floats:
    """Frame `frame_index` (0-based) as floats 0..255: (rows, columns) of grey, (rows, columns, 3) of RGB."""
    samples, photometric = _decoded(dataset, uid, frame_index)
    if photometric == "PALETTE COLOR":
        looked_up = apply_color_lut(samples, dataset)
        return (looked_up >> 8 if looked_up.dtype == np.uint16 else looked_up).astype(float)
    if photometric.startswith("YBR"):
        samples, photometric = convert_color_space(samples, photometric, "RGB"), "RGB"
    if photometric == "RGB":
        return samples / ((1 << dataset.BitsStored) - 1) * 255
    return _grey(flattened(dataset, frame_index), _stored_values(dataset, samples))


def _decoded(dataset: Dataset, uid: str, index: int) -> tuple[Any, str]:
    """Stored samples and what they mean; by pydicom wherever it has a decoder that takes the frame."""
    told = dataset.PhotometricInterpretation
    if dataset.BitsAllocated != 1 and hasattr(dataset, "file_meta"):
        dataset.file_meta.TransferSyntaxUID = UID(uid)
        # NotImplementedError: no decoder for the syntax; RuntimeError: Pillow has no 12-bit JPEG
        with suppress(NotImplementedError, RuntimeError):
            return pixel_array(dataset, index=index, raw=True), _COLOURS_OF_CODECS.get(told, told)
    pixels = describe(dataset)
    samples = decode_frame(frames_of(dataset, uid, pixels)[index], uid, pixels)
    return samples, decoded_photometric(uid, pixels)


def _stored_values(dataset: Dataset, samples: Any) -> Any:
    """Only BitsStored below HighBit count; a lossy coding overshoots them instead (P-1)."""
    if samples.dtype.kind == "f" or dataset.BitsStored in (1, samples.dtype.itemsize * 8):
        return samples
    spare = samples.dtype.itemsize * 8 - dataset.BitsStored
    low = -1 << (dataset.BitsStored - 1) if dataset.PixelRepresentation else 0
    if dataset.get("LossyImageCompression") == "01":
        return np.clip(samples, low, low + (1 << dataset.BitsStored) - 1)
    unused = samples.dtype.itemsize * 8 - 1 - dataset.HighBit
    return (samples << unused) >> spare


def _grey(flat: Dataset, stored: Any) -> Floats:
    values = apply_modality_lut(stored, flat)
    if "SegmentationType" in flat and flat.SegmentationType != "LABELMAP":
        white = flat.get("MaximumFractionalValue", 255) if flat.SegmentationType == "FRACTIONAL" else 1
        grey = scaled(np.clip(stored, 0, white), 0, white)
    elif values.dtype.kind == "f" and "BitsStored" not in flat and flat.get("WindowWidth"):
        # pydicom windows to the range of BitsStored, which floats do not have: P-4 by hand
        center, width = float(flat.WindowCenter), float(flat.WindowWidth)
        low = center - 0.5 - (width - 1) / 2
        grey = scaled(np.clip(values, low, low + width - 1), low, low + max(width - 1, 1e-9))
        grey = np.where(values > low + width - 1, 255, grey)
    elif "VOILUTSequence" in flat or flat.get("WindowWidth") not in (None, "", []):
        grey = scaled(apply_voi_lut(values, flat), *_output_range(flat))
    else:
        grey = _stretched(values, stored, flat)
    inverted = (
        "MONOCHROME1" in flat.PhotometricInterpretation or flat.get("PresentationLUTShape") == "INVERSE"
    )
    return 255 - grey if inverted else grey


def flattened(dataset: Dataset, frame_index: int) -> Dataset:
    """A data set with the frame's rescale and window where pydicom's functions look for them."""
    flat = Dataset()
    flat.update(dataset)
    frames = dataset.get("PerFrameFunctionalGroupsSequence") or []
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    for groups in (*shared[:1], *frames[frame_index : frame_index + 1]):
        for keyword in ("PixelValueTransformationSequence", "FrameVOILUTSequence"):
            for item in groups.get(keyword) or ():
                flat.update(item)
    return flat


def _output_range(flat: Dataset) -> tuple[float, float]:
    """The range onto which pydicom's apply_voi_lut maps."""
    if "VOILUTSequence" in flat:
        return 0, (1 << flat.VOILUTSequence[0].LUTDescriptor[2]) - 1
    if "ModalityLUTSequence" in flat:
        return 0, (1 << flat.ModalityLUTSequence[0].LUTDescriptor[2]) - 1
    slope, intercept = float(flat.get("RescaleSlope", 1)), float(flat.get("RescaleIntercept", 0))
    low = -1 << (flat.BitsStored - 1) if flat.PixelRepresentation else 0
    return low * slope + intercept, (low + (1 << flat.BitsStored) - 1) * slope + intercept


def scaled(values: Any, low: float, high: float) -> Floats:
    """`low`..`high` onto 0..255."""
    return np.asarray((values.astype(float) - low) / (high - low) * 255)


def _stretched(values: Any, stored: Any, flat: Dataset) -> Floats:
    """Smallest to largest value of what is finite and no padding."""
    image = np.isfinite(stored)
    for prefix in ("Pixel", "FloatPixel", "DoubleFloatPixel"):
        padding = flat.get(f"{prefix}PaddingValue")
        if padding is not None:
            ends = sorted([padding, flat.get(f"{prefix}PaddingRangeLimit", padding)])
            unpadded = image & ((stored < ends[0]) | (stored > ends[1]))
            image = unpadded if unpadded.any() else image
    low, high = values[image].min(), values[image].max()
    shown = np.nan_to_num(values, nan=low)
    return np.zeros(values.shape) if low == high else scaled(np.clip(shown, low, high), low, high)
