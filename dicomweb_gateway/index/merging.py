"""Rows of tables and matches that were made of documents, put into one order."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from dicomweb_gateway.index.search_tables import SearchTables
from dicomweb_gateway.qido.expression import QidoQuery


class Match(NamedTuple):
    """A row and the tables where it was found, or what was made without any.

    `order`, only for merging: the values by which it is sorted, its UID last or followed by a key; None
    where there is no value.
    """

    tables: SearchTables | None
    row: Any
    order: Sequence[Any] = ()


class Place:
    """Where a match stands, as databases sort: no value is less than every value.

    A place equals one that only goes on where it ends.
    """

    def __init__(self, order: Sequence[Any], query: QidoQuery) -> None:
        self._values = [(value is not None, value) for value in order]
        sorts = [key.descending for key in query.order] or [query.level == "study"] * 3
        self._descending = [*sorts, *(False for _ in order)]

    def __lt__(self, other: "Place") -> bool:
        for mine, theirs, descending in zip(self._values, other._values, self._descending, strict=False):
            if mine != theirs:
                return (mine > theirs) if descending else (mine < theirs)
        return False


def in_order(matches: Iterable[Match], query: QidoQuery) -> list[Match]:
    """`matches` as the database sorts rows; what is equal stays as it stands."""
    return sorted(matches, key=lambda match: Place(match.order, query))


def is_capped(query: QidoQuery) -> bool:
    """Whether the server's own cap cuts the page: then the rest must be counted (Q-34)."""
    return query.limit is None or query.limit > query.max_results
