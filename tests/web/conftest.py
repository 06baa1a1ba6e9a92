"""The gateway of the route tests with series of every kind that /rendered answers."""

import pytest

from tests.routes.archive import House, build
from tests.web.rendering_archive import series


@pytest.fixture(scope="session")
def house(tmp_path_factory) -> House:
    return build(tmp_path_factory.mktemp("rendering"), more=series(), max_rendered_instances=3, max_frames=4)


@pytest.fixture
def get(house):
    """`get(path, accept, **headers)` asks that gateway."""
    client = house.app.test_client()

    def ask(path, accept=None, method="GET", **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return client.open(path, method=method, headers={**({"Accept": accept} if accept else {}), **headers})

    return ask
