"""Quantiles of histograms."""

import pytest

from dicomweb_gateway.telemetry.quantiles import quantile

ENDS = (1.0, 2.0, 4.0)


@pytest.mark.parametrize(
    ("counts", "share", "value"),
    [
        ((0, 0, 0, 0), 0.5, None),
        ((10, 0, 0, 0), 0.5, 0.5),
        ((5, 0, 5, 0), 0.5, 1.0),
        ((5, 0, 5, 0), 0.95, pytest.approx(3.8)),
        ((0, 0, 0, 3), 0.5, 4.0),
        ((9, 0, 0, 1), 0.95, 4.0),
    ],
)
def test_a_share_lies_below(counts, share, value):
    assert quantile(ENDS, counts, share) == value
