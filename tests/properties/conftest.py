"""The indexes of the random archives, one for each store and kind of database, filled at first use."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine

from dicomweb_gateway.index.engine import make_engine
from dicomweb_gateway.index.indexer import index_image_set
from dicomweb_gateway.index.migrate import upgrade
from tests.properties.store import documents, make_store


@pytest.fixture(scope="module")
def engine_of(new_index_url: Callable[[], str]) -> Iterator[Callable[[int], Engine]]:
    """`engine_of(seed)` gives the index of that store."""
    engines: dict[int, Engine] = {}

    def get(seed: int) -> Engine:
        if seed not in engines:
            url = new_index_url()
            upgrade(url)
            engines[seed] = make_engine(url)
            for study in make_store(seed):
                for one in documents(study):
                    index_image_set(engines[seed], one, version=1)
        return engines[seed]

    yield get
    for engine in engines.values():
        engine.dispose()
