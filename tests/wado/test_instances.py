"""What an instance says of pixels that have been coded again (dicomweb.md W-3, W-6)."""

import pytest
from pydicom.dataset import Dataset

from dicomweb_gateway.wado.instances import mark_lossy


def test_the_first_lossy_step():
    dataset = Dataset()
    mark_lossy(dataset, "ISO_10918_1", 7.046)
    assert (dataset.LossyImageCompression, list(dataset.ImageType)) == ("01", ["DERIVED", "PRIMARY"])
    assert (dataset.LossyImageCompressionRatio, dataset.LossyImageCompressionMethod) == (7.05, "ISO_10918_1")


@pytest.mark.parametrize(
    ("ratio", "method", "steps"),
    [("12.5", "ISO_15444_1", ["ISO_15444_1"]), (["12.5", "3"], ["ISO_15444_1", "ISO_14495_1"], None)],
)
def test_a_further_lossy_step_is_added_to_the_earlier_ones(ratio, method, steps):
    """PS3.3 C.7.6.1.1.5.1 and .2: one value a step, in order."""
    dataset = Dataset()
    dataset.ImageType = ["ORIGINAL", "SECONDARY", "AXIAL"]
    dataset.LossyImageCompressionRatio, dataset.LossyImageCompressionMethod = ratio, method
    mark_lossy(dataset, "ISO_10918_1", 4)
    earlier = steps or method
    assert list(dataset.ImageType) == ["DERIVED", "SECONDARY", "AXIAL"]
    assert list(dataset.LossyImageCompressionMethod) == [*earlier, "ISO_10918_1"]
    assert [float(value) for value in dataset.LossyImageCompressionRatio] == [12.5, *[3.0] * (not steps), 4.0]
