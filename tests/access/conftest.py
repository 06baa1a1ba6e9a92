"""An identity provider for each test that asks for one, and the places of sessions."""

import pytest

from tests.access.kept_rows import PLACES, make_place
from tests.access.provider import Provider
from tests.shared.servers import CacheServer


@pytest.fixture(scope="session")
def redis_server():
    server = CacheServer("redis")
    yield server
    server.kill()


@pytest.fixture(params=PLACES)
def place(request, tmp_path):
    """Each place where sessions and tickets may be kept, with nothing in it."""
    made = make_place(request.param, tmp_path, lambda: request.getfixturevalue("redis_server"))
    yield made
    made.close()


@pytest.fixture
def provider():
    made = Provider()
    yield made
    made.close()
