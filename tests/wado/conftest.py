"""The archive of the route tests, without HTTP."""

import pytest

from tests.routes.conftest import fresh, house

__all__ = ["fresh", "house"]


@pytest.fixture
def archive(house):
    return house.services.archive


@pytest.fixture
def record(archive):
    """`record(series, number)`: what the index says of an instance."""
    return lambda series, number=1: archive.index.instance(
        series.rpartition(".")[0], series, f"{series}.{number}"
    )
