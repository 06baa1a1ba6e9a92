"""Rows in portions that every database takes, and the key of a new row."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, insert

Item = TypeVar("Item")

PORTION = 500
"""Values of one IN list, and instances that are written at a time."""

FRAME_PORTION = 10_000
"""Frame rows that are written at a time: a few hundred bytes each."""


def portions(items: Iterable[Item], size: int = PORTION) -> Iterator[list[Item]]:
    """`items` in lists of at most `size`, none of them empty."""
    source = iter(items)
    while portion := list(islice(source, size)):
        yield portion


def insert_row(connection: Connection, table: Table, values: Mapping[str, Any]) -> int:
    """Insert one row; the surrogate key that the database gave it."""
    key = connection.execute(insert(table).values(values)).inserted_primary_key
    if key is None:
        raise TypeError(f"{table.name} has no surrogate key")
    return int(key[0])
