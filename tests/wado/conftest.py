"""The archive of the route tests, without HTTP."""

import pytest

from tests.routes.archive import House, build


@pytest.fixture(scope="session")
def house(tmp_path_factory) -> House:
    return build(tmp_path_factory.mktemp("house"))


@pytest.fixture
def fresh(tmp_path) -> House:
    return build(tmp_path)


@pytest.fixture
def archive(house):
    return house.services.archive


@pytest.fixture
def record(archive):
    """`record(series, number)`: what the index says of an instance."""
    return lambda series, number=1: archive.index.instance(
        series.rpartition(".")[0], series, f"{series}.{number}"
    )
