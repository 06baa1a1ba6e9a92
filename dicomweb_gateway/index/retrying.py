"""Writes in a transaction of their own that are tried again when another writer gets in their way."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DataError

from dicomweb_gateway.errors import UpstreamFailed
from dicomweb_gateway.index.engine import WRITE_TRIES, index_errors, is_contention, writing

Result = TypeVar("Result")

BACKOFF = 0.02
"""Seconds that a writer waits at most after its first failed try; each further try waits longer."""


def retried(engine: Engine, write: Callable[[Connection], Result]) -> Result:
    """`write` in a transaction of its own, tried again when another writer got in its way.

    Values that the database refuses are the document's fault (UpstreamFailed), not the index's.
    """
    with index_errors(), _refused_values():
        for attempt in range(1, WRITE_TRIES):
            try:
                with writing(engine) as connection:
                    return write(connection)
            except Exception as error:
                if not is_contention(error):
                    raise
            time.sleep(random.uniform(0, BACKOFF * attempt))  # noqa: S311 - spreads writers, hides nothing
        with writing(engine) as connection:
            return write(connection)


@contextmanager
def _refused_values() -> Iterator[None]:
    try:
        yield
    except DataError as error:
        raise UpstreamFailed("the index does not take values of this image set") from error
