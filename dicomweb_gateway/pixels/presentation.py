"""What a frame's attributes say of how to show it: LUTs, windows, padding, palette, aspect (PS3.3 C.7, C.11).

Real files hold odd values here, so nothing in this module raises: what cannot be read counts as absent.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pydicom import Dataset

from dicomweb_gateway.pixels.attributes import (
    first_item,
    group_of_frame,
    number_of,
    numbers_of,
    tags_of,
    text_of,
    value_of,
)
from dicomweb_gateway.pixels.lut import Lut
from dicomweb_gateway.pixels.options import LINEAR, LINEAR_EXACT, SIGMOID, Window
from dicomweb_gateway.pixels.palette import read_lut, read_palette

DISPLAYED = tags_of(
    *(
        "PixelRepresentation",
        "BitsAllocated",
        "BitsStored",
        "PhotometricInterpretation",
        "PresentationLUTShape",
    ),
    *("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence", "PixelValueTransformationSequence"),
    *("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence", "FrameVOILUTSequence"),
    *("PixelAspectRatio", "PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"),
    *("PixelMeasuresSequence", "SegmentationType", "MaximumFractionalValue", "LossyImageCompression"),
    *(
        f"{prefix}PixelPadding{what}"
        for prefix in ("", "Float", "DoubleFloat")
        for what in ("Value", "RangeLimit")
    ),
    *(
        f"{segmented}{colour}PaletteColorLookupTable{what}"
        for colour in ("Red", "Green", "Blue")
        for segmented, what in (("", "Descriptor"), ("", "Data"), ("Segmented", "Data"))
    ),
) | {group << 16 | 0x0102 for group in range(0x6000, 0x6020, 2)}
"""What `presentation_of` reads, outside and inside of functional groups."""

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
    signed = number_of(dataset, "PixelRepresentation") == 1
    transform = group_of_frame(dataset, frame_index, "PixelValueTransformationSequence") or dataset
    voi = group_of_frame(dataset, frame_index, "FrameVOILUTSequence") or dataset
    slope = number_of(transform, "RescaleSlope") or 1.0
    intercept = number_of(transform, "RescaleIntercept") or 0.0
    modality = first_item(dataset, "ModalityLUTSequence") if transform is dataset else None
    modality_lut = _lut_of(modality, signed)
    signed_input = modality_lut is None and (signed or _gives_negatives(dataset, slope, intercept))
    photometric = text_of(dataset, "PhotometricInterpretation")
    return Presentation(
        slope=slope,
        intercept=intercept,
        modality_lut=modality_lut,
        windows=tuple(_windows(voi)),
        voi_lut=_lut_of(first_item(voi, "VOILUTSequence"), signed_input),
        inverse=photometric == "MONOCHROME1" or text_of(dataset, "PresentationLUTShape") == "INVERSE",
        padding=_padding(dataset, signed),
        palette=read_palette(dataset, signed=signed) if photometric == "PALETTE COLOR" else None,
        aspect=_aspect(dataset, frame_index),
        value_range=_mask_range(dataset),
        labels=text_of(dataset, "SegmentationType") == "LABELMAP",
        embedded_overlay=_has_embedded_overlay(dataset),
        lossy=text_of(dataset, "LossyImageCompression") == "01",
    )


def _gives_negatives(dataset: Dataset, slope: float, intercept: float) -> bool:
    """Whether unsigned pixels are rescaled to values that only a signed word holds (PS3.3 C.11.2.1.1)."""
    highest = 2.0 ** min(number_of(dataset, "BitsStored") or 16, 32) - 1
    low, high = sorted((intercept, highest * slope + intercept))
    return low < 0 and high <= 0x7FFF


def _lut_of(item: Dataset | None, signed: bool) -> Lut | None:
    return None if item is None else read_lut(item, "LUTDescriptor", "LUTData", signed=signed)


def _windows(dataset: Dataset) -> Iterator[Window]:
    """Usable centre and width pairs. A LINEAR width below 1 is meant as exact: PET files have them."""
    function = text_of(dataset, "VOILUTFunction")
    if function not in (LINEAR_EXACT, SIGMOID):
        function = LINEAR
    centers, widths = numbers_of(dataset, "WindowCenter"), numbers_of(dataset, "WindowWidth")
    for center, width in zip(centers, widths, strict=False):
        if center is not None and width is not None and width > 0:
            yield Window(center, width, LINEAR_EXACT if width < 1 and function == LINEAR else function)


def _padding(dataset: Dataset, signed: bool) -> tuple[float, float] | None:
    """The padding range of integer or float pixels (PS3.3 C.7.5.1.1.2)."""
    for prefix in ("", "Float", "Double"):
        value = number_of(dataset, f"{_PADDING[prefix]}PaddingValue")
        if value is None:
            continue
        limit = number_of(dataset, f"{_PADDING[prefix]}PaddingRangeLimit")
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
    measures = group_of_frame(dataset, frame_index, "PixelMeasuresSequence")
    for source in (dataset if measures is None else measures, dataset):
        for keyword in _SPACINGS:
            ratio = _pair(source, keyword)
            if ratio:
                return ratio
    return 1.0


def _pair(dataset: Dataset, keyword: str) -> float | None:
    """First over second of two positive values; extreme ratios are typing errors."""
    match numbers_of(dataset, keyword):
        case [float(high), float(wide), *_] if high > 0 and wide > 0 and 0.05 < high / wide < 20:
            return high / wide
    return None


def _mask_range(dataset: Dataset) -> tuple[float, float] | None:
    """Black and white of binary and fractional segmentations (PS3.3 C.8.20.2)."""
    kind = text_of(dataset, "SegmentationType")
    if kind == "BINARY" or number_of(dataset, "BitsAllocated") == 1:
        return 0.0, 1.0
    return (0.0, number_of(dataset, "MaximumFractionalValue") or 255.0) if kind == "FRACTIONAL" else None


def _has_embedded_overlay(dataset: Dataset) -> bool:
    """Whether an overlay plane (60xx) lives in bits of the pixel words (PS3.3 C.9.2, retired form)."""
    return any(bool(value_of(dataset, (group, 0x0102))) for group in range(0x6000, 0x6020, 2))
