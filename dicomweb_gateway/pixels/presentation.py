"""What a frame's attributes say of how to show it: LUTs, windows, padding, palette, aspect (PS3.3 C.7, C.11).

Real files hold odd values here, so nothing in this module raises: what cannot be read counts as absent.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Any

from pydicom import Dataset

from dicomweb_gateway.pixels.lut import Lut
from dicomweb_gateway.pixels.options import LINEAR, LINEAR_EXACT, SIGMOID, Window
from dicomweb_gateway.pixels.palette import read_lut, read_palette

_SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")


@dataclass(frozen=True, slots=True, eq=False)
class Presentation:
    """How to show one frame; the neutral default shows stored values from smallest to largest.

    `windows` are usable ones, in file order. `padding`: stored values from the first to the second,
    both included, are no image. `aspect`: height of a pixel over its width. `value_range`: the stored
    values that are black and white, for masks. `labels`: values name segments, they are no intensities.
    `embedded_overlay`: bits of the words above BitsStored hold an overlay.
    `lossy`: the image was compressed lossily, so bits above BitsStored are overshoot.
    """

    slope: float = 1.0
    intercept: float = 0.0
    modality_lut: Lut | None = None
    windows: tuple[Window, ...] = ()
    voi_lut: Lut | None = None
    inverse: bool = False
    padding: tuple[float, float] | None = None
    palette: tuple[Lut, Lut, Lut] | None = None
    aspect: float = 1.0
    value_range: tuple[float, float] | None = None
    labels: bool = False
    embedded_overlay: bool = False
    lossy: bool = False

    @property
    def index_values(self) -> bool:
        """Whether stored words may not be averaged, so that no reduced decode can be shown."""
        return self.labels or self.embedded_overlay


def presentation_of(dataset: Dataset, frame_index: int) -> Presentation:
    """The presentation of frame `frame_index` (0-based) of `dataset`, which needs no pixel data.

    Functional groups of the frame win over shared ones, those over the data set's own attributes.
    """
    signed = _number(dataset, "PixelRepresentation") == 1
    transform = _first_group(dataset, frame_index, "PixelValueTransformationSequence") or dataset
    voi = _first_group(dataset, frame_index, "FrameVOILUTSequence") or dataset
    modality = next(_items(dataset, "ModalityLUTSequence"), None)
    lut = next(_items(voi, "VOILUTSequence"), None)
    photometric = _text(dataset, "PhotometricInterpretation")
    return Presentation(
        slope=_number(transform, "RescaleSlope") or 1.0,
        intercept=_number(transform, "RescaleIntercept") or 0.0,
        modality_lut=_lut_of(modality, signed) if transform is dataset else None,
        windows=tuple(_windows(voi)),
        voi_lut=_lut_of(lut, signed),
        inverse=photometric == "MONOCHROME1" or _text(dataset, "PresentationLUTShape") == "INVERSE",
        padding=_padding(dataset, signed),
        palette=read_palette(dataset, signed=signed) if photometric == "PALETTE COLOR" else None,
        aspect=_aspect(dataset, frame_index),
        value_range=_mask_range(dataset),
        labels=_text(dataset, "SegmentationType") == "LABELMAP",
        embedded_overlay=_has_embedded_overlay(dataset),
        lossy=_text(dataset, "LossyImageCompression") == "01",
    )


def _lut_of(item: Dataset | None, signed: bool) -> Lut | None:
    return None if item is None else read_lut(item, "LUTDescriptor", "LUTData", signed=signed)


def _windows(dataset: Dataset) -> Iterator[Window]:
    """Usable centre and width pairs. A LINEAR width below 1 is meant as exact: PET files have them."""
    function = _text(dataset, "VOILUTFunction")
    if function not in (LINEAR_EXACT, SIGMOID):
        function = LINEAR
    centers, widths = _numbers(dataset, "WindowCenter"), _numbers(dataset, "WindowWidth")
    for center, width in zip(centers, widths, strict=False):
        if center is not None and width is not None and width > 0:
            yield Window(center, width, LINEAR_EXACT if width < 1 and function == LINEAR else function)


def _padding(dataset: Dataset, signed: bool) -> tuple[float, float] | None:
    """The padding range of integer or float pixels (PS3.3 C.7.5.1.1.2)."""
    for prefix in ("", "Float", "Double"):
        value = _number(dataset, f"{_PADDING[prefix]}PaddingValue")
        if value is None:
            continue
        limit = _number(dataset, f"{_PADDING[prefix]}PaddingRangeLimit")
        ends = [end for end in (value, limit) if end is not None]
        if signed and not prefix:
            ends = [end - 0x10000 if end > 0x7FFF else end for end in ends]
        return min(ends), max(ends)
    return None


_PADDING = {"": "Pixel", "Float": "FloatPixel", "Double": "DoubleFloatPixel"}


def _aspect(dataset: Dataset, frame_index: int) -> float:
    """Pixel height over width, out of PixelAspectRatio or the first spacing there is; 1 when unknown."""
    ratio = _pair(dataset, "PixelAspectRatio")
    if ratio:
        return ratio
    measures = _first_group(dataset, frame_index, "PixelMeasuresSequence")
    for source in (dataset if measures is None else measures, dataset):
        for keyword in _SPACINGS:
            ratio = _pair(source, keyword)
            if ratio:
                return ratio
    return 1.0


def _pair(dataset: Dataset, keyword: str) -> float | None:
    """First over second of two positive values; extreme ratios are typing errors."""
    match _numbers(dataset, keyword):
        case [float(high), float(wide), *_] if high > 0 and wide > 0 and 0.05 < high / wide < 20:
            return high / wide
    return None


def _mask_range(dataset: Dataset) -> tuple[float, float] | None:
    """Black and white of binary and fractional segmentations (PS3.3 C.8.20.2)."""
    kind = _text(dataset, "SegmentationType")
    if kind == "BINARY" or _number(dataset, "BitsAllocated") == 1:
        return 0.0, 1.0
    return (0.0, _number(dataset, "MaximumFractionalValue") or 255.0) if kind == "FRACTIONAL" else None


def _has_embedded_overlay(dataset: Dataset) -> bool:
    """Whether an overlay plane (60xx) lives in bits of the pixel words (PS3.3 C.9.2, retired form)."""
    return any(bool(_value(dataset, (group, 0x0102))) for group in range(0x6000, 0x6020, 2))


def _first_group(dataset: Dataset, frame_index: int, keyword: str) -> Dataset | None:
    """First item of functional group `keyword` of the frame, else of the shared groups."""
    frames = _items(dataset, "PerFrameFunctionalGroupsSequence")
    own = next((item for index, item in enumerate(frames) if index == frame_index), None)
    shared = next(_items(dataset, "SharedFunctionalGroupsSequence"), None)
    for groups in (own, shared):
        item = next(_items(groups, keyword), None) if groups is not None else None
        if item is not None:
            return item
    return None


def _items(dataset: Dataset, keyword: str) -> Iterator[Dataset]:
    value = _value(dataset, keyword)
    yield from (item for item in value or () if isinstance(item, Dataset))


def _value(dataset: Dataset, key: Any) -> Any:
    """Value of keyword or tag, None when absent or inconvertible."""
    try:
        value = dataset.get(key)
        return getattr(value, "value", value) if isinstance(key, tuple) else value
    except Exception:
        return None


def _numbers(dataset: Dataset, keyword: str) -> list[float | None]:
    """The element's values as finite floats, None where one is no number."""
    value = _value(dataset, keyword)
    if isinstance(value, str):
        value = value.split("\\")
    elif not hasattr(value, "__iter__"):
        value = [value]
    return [_finite(item) for item in value]


def _finite(item: Any) -> float | None:
    try:
        number = float(item)
    except (TypeError, ValueError):
        return None
    return number if isfinite(number) else None


def _number(dataset: Dataset, keyword: str) -> float | None:
    return next(iter(_numbers(dataset, keyword)), None)


def _text(dataset: Dataset, keyword: str) -> str:
    """The first value as stripped upper-case text, "" when absent."""
    value = _value(dataset, keyword)
    if value is not None and not isinstance(value, str) and hasattr(value, "__iter__"):
        value = next(iter(value), "")
    return str(value or "").strip().upper()
