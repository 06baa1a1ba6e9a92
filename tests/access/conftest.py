"""An identity provider for each test that asks for one."""

import pytest

from tests.access.provider import Provider


@pytest.fixture
def provider():
    made = Provider()
    yield made
    made.close()
