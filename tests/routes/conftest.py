"""One gateway for the tests that only read, and a new one for those that break things."""

import pytest

from tests.routes.archive import House, build
from tests.routes.browsers import make_site


@pytest.fixture(scope="session")
def house(tmp_path_factory) -> House:
    return build(tmp_path_factory.mktemp("house"))


@pytest.fixture
def fresh(tmp_path) -> House:
    return build(tmp_path)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """What browsers log in to."""
    return make_site(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def services(site):
    """Of one gateway of the site."""
    return site.services()


@pytest.fixture
def get(house):
    """`get(path, accept)` asks the shared gateway; what is read before the answer is closed is all of it."""
    client = house.app.test_client()

    def ask(path, accept=None, method="GET", buffered=False, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        headers = {**({"Accept": accept} if accept else {}), **headers}
        return client.open(path, method=method, headers=headers, buffered=buffered)

    return ask
