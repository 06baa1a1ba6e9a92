"""Runs a QidoQuery: the page of keys first, then the rows of that page, then DICOM JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, literal, select, union_all

from dicomweb_gateway.dicom.dictionary import attribute_of_tag, tag_text
from dicomweb_gateway.dicom.json_model import JsonObject
from dicomweb_gateway.errors import InvalidRequest, PayloadTooLarge
from dicomweb_gateway.index.chunks import portions
from dicomweb_gateway.index.compiler import (
    matching,
    number_of_matches,
    order,
    order_keys,
    some_matches,
)
from dicomweb_gateway.index.search_plan import look_into
from dicomweb_gateway.index.search_tables import SearchTables
from dicomweb_gateway.index.shapes import page_of_rows
from dicomweb_gateway.index.stored_search import Judged, examine
from dicomweb_gateway.qido.expression import (
    EmptyOr,
    IsEmpty,
    ItemIn,
    ModalitiesIn,
    QidoQuery,
    RequestItem,
)


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Answer of a search.

    `rows`: DICOM JSON objects, keys ascending, RetrieveURL (00081190) without its value (`answers.answer`).
    `total`: number of matches where known. `remaining`: matches after these rows where their number is
    known, as it always is when the server's own cap cut them off, else 0. `warnings`: texts for Warning
    headers, that of `remaining` first (Q-33).
    """

    rows: list[JsonObject]
    total: int | None
    remaining: int
    warnings: tuple[str, ...]


def search(connection: Connection, sources: Sequence[SearchTables], query: QidoQuery) -> SearchResult:
    """All that matches `query` in `sources`, one page of it; no resource may stand in two sources.

    Raises InvalidRequest for what none of them can match, PayloadTooLarge where Q-39 asks for it.
    """
    judged = _judged(sources, query)
    if not judged:
        raise InvalidRequest(f"{_unheld(query, sources)}: this index does not hold the attribute")
    if any(own.stored for _, own in judged):
        return _examined(connection, judged, query)
    able, query = [tables for tables, _ in judged], judged[0][1]
    _refuse_too_many(connection, able, query)
    # One more than the page tells whether there is more, for the price of a row.
    rows = _page(connection, able, query, query.page + 1) if query.page else []
    more, rows = len(rows) > query.page, rows[: query.page]
    total = _total(connection, able, query, len(rows), more)
    return _result(query, _answers(connection, able, query, rows), total)


def _judged(sources: Sequence[SearchTables], query: QidoQuery) -> list[Judged]:
    """Those that can judge all keys, with the query as they do; what sorts need not be known to all."""
    if len(sources) == 1 and not all(sources[0].holds(IsEmpty(key.attribute)) for key in query.order):
        return []
    both = ((tables, tables.judged(query)) for tables in sources)
    return [(tables, own) for tables, own in both if own is not None]


def _examined(connection: Connection, judged: list[Judged], query: QidoQuery) -> SearchResult:
    found = examine(connection, judged, query)
    most = query.hard_max_results
    if most is not None and query.limit is None and found.total is not None and found.total > most:
        raise _too_many(most)
    sources = [tables for tables, _ in judged]
    rows = _answers(connection, sources, query, found.matches[: query.page])
    return _result(query, rows, found.total)


def _result(query: QidoQuery, rows: list[JsonObject], total: int | None) -> SearchResult:
    remaining = max(0, total - query.offset - len(rows)) if total is not None else 0
    warnings = query.warnings
    if remaining > 0:
        text = f"There are {remaining} additional results that can be requested"
        warnings = (text, *warnings)
    return SearchResult(rows, total, remaining, warnings)


Found = tuple[SearchTables, Row[Any]]
"""A row and where it was found."""


def _unheld(query: QidoQuery, sources: Sequence[SearchTables]) -> str:
    """The first attribute that no source holds."""
    sorts = (IsEmpty(key.attribute) for key in query.order)
    asked = (*query.conditions, *query.stored, *sorts)
    for condition in (one for one in asked if not sources[0].holds(one)):
        match condition:
            case EmptyOr(empty, _):
                return empty.attribute.keyword
            case ItemIn(path, _, _):
                attribute = attribute_of_tag(path[0])
                return attribute.keyword if attribute else tag_text(path[0])
            case RequestItem():
                return "RequestAttributesSequence"
            case ModalitiesIn():
                return "ModalitiesInStudy"
        return condition.attribute.keyword
    return "a key"


def _refuse_too_many(connection: Connection, sources: Sequence[SearchTables], query: QidoQuery) -> None:
    most = query.hard_max_results
    if most is None or query.limit is not None:
        return
    found = sum(connection.execute(some_matches(one, query, most + 1)).scalar_one() for one in sources)
    if found > most:
        raise _too_many(most)


def _too_many(most: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"more than {most} matches: narrow the query, or page through it with limit")


def _page(
    connection: Connection, sources: Sequence[SearchTables], query: QidoQuery, limit: int
) -> list[Found]:
    if len(sources) > 1:
        return _page_of_several(connection, sources, query, limit)
    (tables,) = sources
    statement, values = page_of_rows(tables, query, limit, look_into(connection, tables, query))
    return [(tables, row) for row in connection.execute(statement, values).all()]


def _page_of_several(
    connection: Connection, sources: Sequence[SearchTables], query: QidoQuery, limit: int
) -> list[Found]:
    """The page of the sources' answers put into one order."""
    parts = [_keys_with_order(tables, query, query.offset + limit) for tables in sources]
    both = union_all(*parts).subquery("both")
    keys = [both.c[f"o{number}"] for number in range(len(order_keys(sources[0], query)))]
    directions = [descending for _, descending in order_keys(sources[0], query)]
    by = [key.desc() if down else key.asc() for key, down in zip(keys, directions, strict=True)]
    wanted = select(both.c.source, both.c.key).order_by(*by).limit(limit).offset(query.offset)
    places = [(row.source, row.key) for row in connection.execute(wanted)]
    rows: dict[tuple[str, int], Found] = {}
    for tables in sources:
        mine = [key for name, key in places if name == tables.name]
        for some in portions(mine):
            key = tables.key(query.level)
            statement = select(key.label("key"), *tables.columns(query)).where(key.in_(some))
            for row in connection.execute(statement.select_from(tables.answer_source(query))):
                rows[tables.name, row.key] = (tables, row)
    return [rows[place] for place in places if place in rows]


def _keys_with_order(tables: SearchTables, query: QidoQuery, most: int) -> Select[Any]:
    keys = [(key.label(f"o{number}")) for number, (key, _) in enumerate(order_keys(tables, query))]
    columns = [literal(tables.name).label("source"), tables.key(query.level).label("key"), *keys]
    # several rows of one UID differ by their key last of all, here by the place that they have in one source
    part = matching(tables, query, columns).order_by(*order(tables, query)).limit(most).subquery()
    return select(part)


def _total(
    connection: Connection, sources: Sequence[SearchTables], query: QidoQuery, found: int, more: bool
) -> int | None:
    """The number of matches: for nothing where the page shows it, counted where it is needed (Q-35)."""
    if not more and query.page and (found or not query.offset):
        return query.offset + found
    capped = more and (query.limit is None or query.limit > query.max_results)
    if query.total_count or capped:
        return sum(int(connection.execute(number_of_matches(one, query)).scalar_one()) for one in sources)
    return None


def _answers(
    connection: Connection, sources: Sequence[SearchTables], query: QidoQuery, rows: list[Found]
) -> list[JsonObject]:
    """The rows as DICOM JSON, in their order."""
    by_source = {
        tables.name: iter(tables.answers(connection, query, [row for own, row in rows if own is tables]))
        for tables in sources
    }
    return [next(by_source[tables.name]) for tables, _ in rows]
