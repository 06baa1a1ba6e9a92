"""Searching by attributes that have no column: rows are looked at in their order (dicomweb.md Q-3)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, select

from dicomweb_gateway.dicom.dictionary import tag_text
from dicomweb_gateway.errors import PayloadTooLarge
from dicomweb_gateway.index.compiler import matching, order
from dicomweb_gateway.index.patterns import Expression
from dicomweb_gateway.index.search_tables import SearchTables
from dicomweb_gateway.qido.attributes import LEVELS, Level
from dicomweb_gateway.qido.expression import Condition, EmptyOr, IsEmpty, ItemIn, QidoQuery
from dicomweb_gateway.qido.matching import meets

MOST_EXAMINED = 50_000
"""Rows that one search may look at: about two seconds."""

_FIRST_PORTION, _LARGEST_PORTION = 250, 4000


@dataclass(frozen=True, slots=True)
class Examined:
    """`rows` of the page, at most one more than it holds; `total` matches where all rows were looked at."""

    rows: list[Any]
    total: int | None


def examine(
    connection: Connection, tables: SearchTables, query: QidoQuery, more: Sequence[Any] = ()
) -> Examined:
    """The page of rows that meet the query's conditions on columns and those on attributes.

    Rows have the columns that answers need, and `more`.

    Looks no further than the page needs, unless the number of matches is asked for. Raises PayloadTooLarge
    when more than MOST_EXAMINED rows would have to be looked at: an answer that leaves out matches would be
    worse than none.
    """
    rows: list[Any] = []
    found = 0
    counts = query.total_count or (query.limit is None and query.hard_max_results is not None)
    for row in _in_order(connection, tables, query, more):
        if not all(meets(condition, _held(query.level, row), query.zone) for condition in query.stored):
            continue
        found += 1
        if query.offset < found <= query.offset + query.page + 1:
            rows.append(row)
        if len(rows) > query.page and not counts and not is_capped(query):
            return Examined(rows, None)
    return Examined(rows, found)


def is_capped(query: QidoQuery) -> bool:
    """Whether the server's own cap cuts the page: then the rest must be counted (Q-34)."""
    return query.limit is None or query.limit > query.max_results


def _in_order(
    connection: Connection, tables: SearchTables, query: QidoQuery, more: Sequence[Any]
) -> Iterator[Any]:
    """All rows that meet the conditions on columns, and have the attributes at all, a portion at a time."""
    keys = matching(tables, query, [tables.key(query.level).label("key")])
    keys = keys.where(*(one for condition in query.stored for one in _mentioned(tables, query, condition)))
    keys = keys.order_by(*order(tables, query))
    offset, portion = 0, _FIRST_PORTION
    while True:
        page = keys.limit(portion).offset(offset).subquery("page")
        source = tables.answer_source(query).join(page, page.c.key == tables.key(query.level))
        columns = [*tables.columns(query), *more]
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


def _mentioned(tables: SearchTables, query: QidoQuery, condition: Condition) -> list[Expression]:
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


def _held(level: Level, row: Any) -> Mapping[str, Any]:
    """The attributes that a search of the level sees, those of the levels above included."""
    held: dict[str, Any] = {}
    for one in LEVELS[: LEVELS.index(level) + 1]:
        held |= orjson.loads(getattr(row, f"{one}_attributes"))
    return held
