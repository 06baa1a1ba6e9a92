"""Which peers are trusted proxies."""

import pytest

from dicomweb_gateway.access.networks import is_trusted


@pytest.mark.parametrize(
    ("address", "trusted"),
    [
        ("10.9.9.9", True),
        ("::ffff:10.0.0.1", True),
        ("::ffff:11.0.0.1", False),
        (None, False),
        ("10.0.0", False),
    ],
)
def test_trusted_networks(address, trusted):
    assert is_trusted(address, ("10.0.0.0/8",)) is trusted
    assert not is_trusted(address, ())
