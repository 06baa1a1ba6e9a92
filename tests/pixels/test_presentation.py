"""What the attributes of real, odd and broken data sets say of showing a frame."""

import numpy as np
import pytest
from pydicom import Dataset, Sequence, dcmread
from pydicom.data import get_testdata_file
from pydicom.tag import Tag

from dicomweb_gateway.pixels.options import Window
from dicomweb_gateway.pixels.presentation import DISPLAYED, Presentation, presentation_of


def dataset(**attributes) -> Dataset:
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def items(*groups: Dataset) -> Sequence:
    return Sequence(groups)


class Noting(Dataset):
    """Remembers the tags that were asked for."""

    def __init__(self):
        super().__init__()
        self.__dict__["asked"] = set()

    def get(self, key, default=None):
        self.__dict__["asked"].add(int(Tag(key)))
        return super().get(key, default)


@pytest.mark.parametrize("photometric", ["MONOCHROME2", "PALETTE COLOR"])
def test_everything_that_is_read_is_told(photometric):
    """Retrieval hands over DISPLAYED only: whatever is read beyond it would always be absent."""
    whole, group = Noting(), Noting()
    whole.PhotometricInterpretation = photometric
    whole.add_new("PerFrameFunctionalGroupsSequence", "SQ", [group])
    whole.PerFrameFunctionalGroupsSequence._list[0] = group
    presentation_of(whole, 0)
    asked = whole.__dict__["asked"] | group.__dict__["asked"]
    assert asked - {0x52009229, 0x52009230} <= DISPLAYED
    assert len(asked) > 25


def test_nothing_said_is_the_neutral_presentation():
    shown = presentation_of(Dataset(), 0)
    neutral = Presentation()
    assert all(getattr(shown, name) == getattr(neutral, name) for name in Presentation.__slots__)


def test_a_bundled_ct():
    shown = presentation_of(dcmread(get_testdata_file("CT_small.dcm", download=False)), 0)
    assert (shown.slope, shown.intercept) == (1, -1024)
    assert shown.padding == (-2000, -2000)
    assert shown.aspect == 1


@pytest.mark.parametrize(
    ("attributes", "windows"),
    [
        ({"WindowCenter": "40", "WindowWidth": "400"}, [Window(40, 400)]),
        (
            {"WindowCenter": [40, -600], "WindowWidth": [400, 1500]},
            [Window(40, 400), Window(-600, 1500)],
        ),
        ({"WindowCenter": [40, 50], "WindowWidth": 400}, [Window(40, 400)]),
        ({"WindowCenter": 40}, []),
        ({"WindowCenter": 40, "WindowWidth": 0}, []),
        ({"WindowCenter": 40, "WindowWidth": -3}, []),
        ({"WindowCenter": [40, 60], "WindowWidth": [0, 80]}, [Window(60, 80)]),
        ({"WindowCenter": "0.5", "WindowWidth": "0.25"}, [Window(0.5, 0.25, "LINEAR_EXACT")]),
        (
            {"WindowCenter": 1, "WindowWidth": 2, "VOILUTFunction": "SIGMOID"},
            [Window(1, 2, "SIGMOID")],
        ),
        (
            {"WindowCenter": 1, "WindowWidth": 2, "VOILUTFunction": "LINEAR_EXACT "},
            [Window(1, 2, "LINEAR_EXACT")],
        ),
        ({"WindowCenter": 1, "WindowWidth": 2, "VOILUTFunction": "FANCY"}, [Window(1, 2)]),
    ],
)
def test_windows(attributes, windows):
    assert presentation_of(dataset(**attributes), 0).windows == tuple(windows)


def test_functional_groups_of_the_frame_win():
    frames = [
        dataset(
            PixelValueTransformationSequence=items(dataset(RescaleSlope=slope, RescaleIntercept=-1)),
            FrameVOILUTSequence=items(dataset(WindowCenter=slope * 10, WindowWidth=7)),
        )
        for slope in (2, 3)
    ]
    shared = dataset(
        PixelValueTransformationSequence=items(dataset(RescaleSlope=9, RescaleIntercept=9)),
        PixelMeasuresSequence=items(dataset(PixelSpacing=[2, 1])),
    )
    whole = dataset(
        RescaleSlope=5,
        WindowCenter=1,
        WindowWidth=1,
        SharedFunctionalGroupsSequence=items(shared),
        PerFrameFunctionalGroupsSequence=items(*frames),
    )
    first, second, missing = (presentation_of(whole, index) for index in range(3))
    assert (first.slope, first.intercept, first.windows) == (2, -1, (Window(20, 7),))
    assert (second.slope, second.windows) == (3, (Window(30, 7),))
    assert (missing.slope, missing.windows) == (9, (Window(1, 1),))
    assert first.aspect == missing.aspect == 2


@pytest.mark.parametrize(
    ("attributes", "padding"),
    [
        ({"PixelPaddingValue": 63536, "PixelRepresentation": 1}, (-2000, -2000)),
        ({"PixelPaddingValue": 63536, "PixelRepresentation": 0}, (63536, 63536)),
        ({"PixelPaddingValue": 10, "PixelPaddingRangeLimit": 0, "PixelRepresentation": 0}, (0, 10)),
        ({"FloatPixelPaddingValue": -1.5}, (-1.5, -1.5)),
        ({"DoubleFloatPixelPaddingValue": 2.0, "DoubleFloatPixelPaddingRangeLimit": 3.0}, (2, 3)),
        ({}, None),
    ],
)
def test_padding(attributes, padding):
    made = Dataset()
    for keyword, value in attributes.items():
        made.add_new(keyword, "US" if keyword.startswith("Pixel") else "FD", value)
    assert presentation_of(made, 0).padding == padding


@pytest.mark.parametrize(
    ("attributes", "aspect"),
    [
        ({"PixelAspectRatio": [4, 3], "PixelSpacing": [1, 1]}, 4 / 3),
        ({"PixelSpacing": [0.5, 0.25]}, 2),
        ({"ImagerPixelSpacing": [1, 2]}, 0.5),
        ({"PixelSpacing": [0, 1]}, 1),
        ({"PixelSpacing": [1]}, 1),
        ({"PixelSpacing": [1000, 1]}, 1),
    ],
)
def test_aspect(attributes, aspect):
    assert presentation_of(dataset(**attributes), 0).aspect == pytest.approx(aspect)


@pytest.mark.parametrize(
    ("attributes", "inverse"),
    [
        ({"PhotometricInterpretation": "MONOCHROME1"}, True),
        ({"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"}, True),
        ({"PhotometricInterpretation": "MONOCHROME2", "PresentationLUTShape": "INVERSE"}, True),
        ({"PhotometricInterpretation": "MONOCHROME2", "PresentationLUTShape": "IDENTITY"}, False),
    ],
)
def test_inversion(attributes, inverse):
    assert presentation_of(dataset(**attributes), 0).inverse is inverse


@pytest.mark.parametrize(
    ("attributes", "value_range", "labels"),
    [
        ({"BitsAllocated": 1}, (0, 1), False),
        ({"SegmentationType": "BINARY"}, (0, 1), False),
        ({"SegmentationType": "FRACTIONAL", "MaximumFractionalValue": 100}, (0, 100), False),
        ({"SegmentationType": "FRACTIONAL"}, (0, 255), False),
        ({"SegmentationType": "LABELMAP"}, None, True),
    ],
)
def test_segmentations(attributes, value_range, labels):
    shown = presentation_of(dataset(**attributes), 0)
    assert (shown.value_range, shown.labels, shown.index_values) == (value_range, labels, labels)


def test_embedded_overlays_forbid_averaging():
    made = Dataset()
    made.add_new(0x60020102, "US", 12)
    assert presentation_of(made, 0).index_values
    made.add_new(0x60020102, "US", 0)
    assert not presentation_of(made, 0).index_values


def test_lookup_tables_are_found():
    def table(first):
        item = Dataset()
        item.add_new("LUTDescriptor", "US", [3, first, 16])
        item.add_new("LUTData", "OW", np.array([1, 2, 3], "<u2").tobytes())
        return items(item)

    shown = presentation_of(dataset(ModalityLUTSequence=table(4), VOILUTSequence=table(6)), 0)
    assert (shown.modality_lut.first, shown.voi_lut.first) == (4, 6)


@pytest.mark.parametrize(
    ("first", "attributes", "expected"),
    [
        (64512, {"PixelRepresentation": 1}, -1024),
        (64512, {"PixelRepresentation": 0, "BitsStored": 12, "RescaleIntercept": "-1024"}, -1024),
        (64512, {"PixelRepresentation": 0, "BitsStored": 12}, 64512),
        (40000, {"PixelRepresentation": 0, "BitsStored": 16, "RescaleIntercept": "-1024"}, 40000),
        (-1024, {"PixelRepresentation": 0}, -1024),
    ],
)
def test_the_first_value_of_a_voi_lut_is_signed_like_its_input(first, attributes, expected):
    """PS3.3 C.11.2.1.1: rescaled values may be negative where pixels are not."""
    item = Dataset()
    item.add_new("LUTDescriptor", "US" if first > 0 else "SS", [2, first, 16])
    item.add_new("LUTData", "OW", np.array([1, 2], "<u2").tobytes())
    shown = presentation_of(dataset(VOILUTSequence=items(item), **attributes), 0)
    assert shown.voi_lut.first == expected


ODD = {
    "RescaleSlope": ("LO", ["one", "", "0"]),
    "RescaleIntercept": ("LO", ["many", "", "inf"]),
    "WindowCenter": ("LO", ["a", "", "nan", r"1\x"]),
    "WindowWidth": ("LO", ["a", "", "nan", r"1\x"]),
    "PixelSpacing": ("LO", ["", r"a\b", r"1\ "]),
    "PixelPaddingValue": ("LO", ["", "none"]),
    "VOILUTSequence": ("LO", ["not a sequence"]),
    "PerFrameFunctionalGroupsSequence": ("LO", ["not a sequence"]),
    "PhotometricInterpretation": ("LO", ["", "GREY"]),
    "SegmentationType": ("LO", ["", "ODD"]),
}


@pytest.mark.parametrize(
    ("keyword", "text"), [(name, text) for name, (_, texts) in ODD.items() for text in texts]
)
def test_odd_values_count_as_absent(keyword, text):
    made = Dataset()
    made.add_new(keyword, ODD[keyword][0], text)
    shown = presentation_of(made, 0)
    assert (shown.slope, shown.intercept, shown.windows, shown.aspect) == (1, 0, (), 1)
    assert (shown.padding, shown.voi_lut, shown.value_range) == (None, None, None)
