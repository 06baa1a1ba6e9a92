"""The gateway of the route tests with series of every kind that /rendered answers."""

import pytest

from tests.routes.archive import House, build
from tests.web.rendering_archive import series
from tests.web.scripts import Run, scripts_in


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


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> Run:
    """What runs scripts of our pages by Node; see `scripts`."""
    return scripts_in(tmp_path_factory.mktemp("scripts"))
