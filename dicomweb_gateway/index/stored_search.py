"""Searching by attributes that have no column: rows are looked at in their order (dicomweb.md Q-3)."""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from dicomweb_gateway.dicom.dictionary import tag_text
from dicomweb_gateway.errors import PayloadTooLarge
from dicomweb_gateway.index.compiler import matching, order, order_keys
from dicomweb_gateway.index.merging import Match, Place, is_capped
from dicomweb_gateway.index.patterns import Expression
from dicomweb_gateway.index.search_tables import SearchTables
from dicomweb_gateway.qido.attributes import LEVELS, Level
from dicomweb_gateway.qido.expression import Condition, EmptyOr, IsEmpty, ItemIn, QidoQuery
from dicomweb_gateway.qido.matching import meets

MOST_EXAMINED = 50_000
"""Rows that one search may look at: about two seconds."""

_FIRST_PORTION, _LARGEST_PORTION = 250, 4000


Judged = tuple[SearchTables, QidoQuery]
"""Tables, and the query as they judge it."""


@dataclass(frozen=True, slots=True)
class Examined:
    """`matches` of the page, at most one more than it holds; `total` of them where all were looked at."""

    matches: list[Match]
    total: int | None


def examine(connection: Connection, sources: Sequence[Judged], query: QidoQuery) -> Examined:
    """The page of rows that meet the query's conditions on columns and those on attributes.

    Looks no further than the page needs, unless the number of matches is asked for. Raises PayloadTooLarge
    when more than MOST_EXAMINED rows would have to be looked at: an answer that leaves out matches would be
    worse than none.
    """
    page: list[Match] = []
    found = 0
    counts = query.total_count or is_capped(query)
    in_order = (_matches(connection, *source) for source in sources)
    for match in heapq.merge(*in_order, key=lambda one: Place(one.order, query)):
        found += 1
        if query.offset < found <= query.offset + query.page + 1:
            page.append(match)
        if len(page) > query.page and not counts:
            return Examined(page, None)
    return Examined(page, found)


def _matches(connection: Connection, tables: SearchTables, query: QidoQuery) -> Iterator[Match]:
    names = [f"o{number}" for number in range(len(order_keys(tables, query)))]
    for row in _in_order(connection, tables, query):
        held = _held(tables, query.level, row) if query.stored else {}
        if all(meets(condition, held, query.zone) for condition in query.stored):
            yield Match(tables, row, [getattr(row, name) for name in names])


def _in_order(connection: Connection, tables: SearchTables, query: QidoQuery) -> Iterator[Any]:
    """All rows that meet the conditions on columns, and have the attributes at all, a portion at a time."""
    keys = matching(tables, query, [tables.key(query.level).label("key")])
    keys = keys.where(*(one for condition in query.stored for one in _mentioned(tables, condition)))
    keys = keys.order_by(*order(tables, query))
    places = [key.label(f"o{number}") for number, (key, _) in enumerate(order_keys(tables, query))]
    offset, portion = 0, _FIRST_PORTION
    while True:
        page = keys.limit(portion).offset(offset).subquery("page")
        source = tables.answer_source(query).join(page, page.c.key == tables.key(query.level))
        columns = [*tables.columns(query), *places]
        statement = select(*columns).select_from(source).order_by(*order(tables, query))
        rows = connection.execute(statement).all()
        yield from rows
        if len(rows) < portion:
            return
        offset, portion = offset + portion, min(2 * portion, _LARGEST_PORTION)
        if offset >= MOST_EXAMINED:
            raise PayloadTooLarge(
                "too many resources to look through for attributes that are not indexed: "
                "narrow the query by other keys"
            )


def _mentioned(tables: SearchTables, condition: Condition) -> list[Expression]:
    """That the attribute occurs at all, which the database sees without reading the JSON as such."""
    match condition:
        case IsEmpty() | EmptyOr():
            return []
        case ItemIn(path, level, inside):
            if all(isinstance(one, IsEmpty | EmptyOr | ItemIn) for one in inside):
                return []
            return [tables.mentions(level, f'"{tag_text(path[0])}"')]
    attribute = getattr(condition, "attribute", None)
    if attribute is None:
        return []
    return [tables.mentions(attribute.level, f'"{tag_text(attribute.tag)}"')]


def _held(tables: SearchTables, level: Level, row: Any) -> Mapping[str, Any]:
    """The attributes that a search of the level sees, those of the levels above included."""
    held: dict[str, Any] = {}
    for one in LEVELS[: LEVELS.index(level) + 1]:
        held |= tables.attributes(row, one)
    return held
