"""Lookup table elements as files write them: descriptors, widths, signs, segments."""

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file

from dicomweb_gateway.pixels.palette import read_lut, read_palette


def lut_item(descriptor, data) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "US" if min(descriptor) >= 0 else "SS", descriptor)
    item.add_new("LUTData", "OW" if isinstance(data, bytes) else "US", data)
    return item


def read(item, signed=False):
    return read_lut(item, "LUTDescriptor", "LUTData", signed=signed)


@pytest.mark.parametrize(
    ("descriptor", "data", "signed", "first", "values"),
    [
        ([3, 0, 16], [1, 2, 3], False, 0, [1, 2, 3]),
        ([3, 5, 8], bytes([1, 0, 2, 0, 3, 0]), False, 5, [1, 2, 3]),
        ([4, 0, 8], bytes([1, 2, 3, 4]), False, 0, [1, 2, 3, 4]),
        ([3, 0, 8], bytes([1, 2, 3, 0]), False, 0, [1, 2, 3]),
        ([3, 65534, 16], [1, 2, 3], True, -2, [1, 2, 3]),
        ([3, 65534, 16], [1, 2, 3], False, 65534, [1, 2, 3]),
        ([3, -2, 16], [1, 2, 3], True, -2, [1, 2, 3]),
        ([2, 0, 16], [1, 2, 3], False, 0, [1, 2]),
    ],
)
def test_plain_tables(descriptor, data, signed, first, values):
    table = read(lut_item(descriptor, data), signed)
    assert (table.first, table.values.tolist()) == (first, values)


def test_zero_entries_mean_65536():
    table = read(lut_item([0, 0, 16], np.arange(65536, dtype="<u2").tobytes()))
    assert len(table.values) == 65536
    assert table.values[-1] == 65535


@pytest.mark.parametrize(
    "item",
    [Dataset(), lut_item([3, 0], [1, 2, 3]), lut_item([3, 0, 16], b"")],
)
def test_unusable_tables_are_absent(item):
    assert read(item) is None


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([0, 3, 10, 20, 30], [10, 20, 30]),
        ([0, 1, 0, 1, 4, 200], [0, 50, 100, 150, 200]),
        ([0, 2, 7, 8, 2, 1, 0, 0], [7, 8, 7, 8]),
        ([0, 1, 100, 1, 2, 0, 9, 9], [100, 50, 0]),
        ([0, 9, 1], []),
    ],
)
def test_segments_expand(bits, words, expected):
    item = Dataset()
    item.RedPaletteColorLookupTableDescriptor = [len(expected) or 3, 0, bits]
    item.SegmentedRedPaletteColorLookupTableData = np.array(words, f"<u{bits // 8}").tobytes()
    table = read_lut(
        item,
        "RedPaletteColorLookupTableDescriptor",
        "RedPaletteColorLookupTableData",
        segmented="SegmentedRedPaletteColorLookupTableData",
        signed=False,
    )
    assert ([] if table is None else table.values.tolist()) == expected


def palette_of(values, bits) -> Dataset:
    dataset = Dataset()
    for name in ("Red", "Green", "Blue"):
        setattr(dataset, f"{name}PaletteColorLookupTableDescriptor", [len(values), 0, bits])
        setattr(dataset, f"{name}PaletteColorLookupTableData", np.array(values, "<u2").tobytes())
    return dataset


@pytest.mark.parametrize(
    ("values", "bits", "expected"),
    [
        ([0, 0x80FF, 0xFFFF], 16, [0, 0x80, 0xFF]),
        ([0, 128, 255], 8, [0, 128, 255]),
        ([0, 128, 255], 16, [0, 128, 255]),
    ],
)
def test_palettes_are_eight_bits(values, bits, expected):
    palette = read_palette(palette_of(values, bits), signed=False)
    assert [table.values.tolist() for table in palette] == [expected] * 3


def test_a_palette_without_blue_is_none():
    dataset = palette_of([1, 2, 3], 16)
    del dataset.BluePaletteColorLookupTableData
    assert read_palette(dataset, signed=False) is None


def test_the_bundled_palette_file():
    dataset = dcmread(get_testdata_file("examples_palette.dcm", download=False))
    palette = read_palette(dataset, signed=False)
    assert [len(table.values) for table in palette] == [256] * 3
