"""Rows of tables and matches that were made of documents, put into one order."""

from collections.abc import Iterable
from typing import Any, Protocol, TypeVar

from dicomweb_gateway.qido.expression import QidoQuery


class Ordered(Protocol):
    """Anything that knows the values by which it is sorted, its UID last; None where there is no value."""

    @property
    def order(self) -> tuple[Any, ...]:
        """The values."""
        ...


Item = TypeVar("Item", bound=Ordered)


def in_order(items: Iterable[Item], query: QidoQuery) -> list[Item]:
    """`items` as the database sorts rows: none is less than every value, what is equal stays as it stands."""
    descending = [key.descending for key in query.order] or [False]
    found = list(items)
    # stable sorts from the last key to the first, because only some of them run backwards
    for position, backwards in reversed([*enumerate([*descending, False])]):
        found.sort(key=lambda item: _sortable(item.order[position]), reverse=backwards)
    return found


def _sortable(value: Any) -> tuple[bool, Any]:
    return value is not None, value
