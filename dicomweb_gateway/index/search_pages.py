"""Pages of matches: of the rows of one family of tables or several, and of what was made of documents."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Select, literal, select, union_all

from dicomweb_gateway.index.chunks import portions
from dicomweb_gateway.index.compiler import matching, order, order_keys
from dicomweb_gateway.index.made_matches import MadeMatches
from dicomweb_gateway.index.merging import Match, in_order, is_capped
from dicomweb_gateway.index.search_plan import look_into
from dicomweb_gateway.index.search_tables import SearchTables
from dicomweb_gateway.index.shapes import page_of_rows
from dicomweb_gateway.qido.expression import QidoQuery


def page_of_matches(
    connection: Connection, sources: Sequence[SearchTables], query: QidoQuery, made: MadeMatches
) -> list[Match]:
    """The page and one match more."""
    further = ahead(query, made)
    rows = _page_of_tables(connection, sources, further, further.page + 1, made)
    return merged(rows, query, made)[: query.page + 1]


def ahead(query: QidoQuery, made: MadeMatches) -> QidoQuery:
    """The search of the tables that gives every row of the page, however many `made` matches precede it."""
    if not made.number:
        return query
    offset = _skipped(query, made)
    rows = query.offset - offset + query.page
    is_counted = query.total_count or is_capped(query)
    return replace(query, offset=offset, limit=rows, max_results=rows, total_count=is_counted)


def _skipped(query: QidoQuery, made: MadeMatches) -> int:
    """Rows of tables that are certainly before the page: all `made` matches can precede them, no more."""
    return max(0, query.offset - made.number)


def merged(rows: list[Match], query: QidoQuery, made: MadeMatches) -> list[Match]:
    """What is on the page and after it, of the rows that `ahead` found and of the `made` matches."""
    if not made.number:
        return rows
    both = in_order([*rows, *(Match(None, one, one.order) for one in made.first)], query)
    return both[query.offset - _skipped(query, made) :]


def order_columns(tables: SearchTables, query: QidoQuery, made: MadeMatches) -> list[Any]:
    """What rows are sorted by, where they are to be merged with `made` matches."""
    if not made.number:
        return []
    keys = order_keys(tables, query)
    return [key.label(f"sort{number}") for number, (key, _) in enumerate(keys[: _sorts(query)])]


def _sorts(query: QidoQuery) -> int:
    """Values that a match is sorted by, its UID among them."""
    if query.order:
        return len(query.order) + 1
    return 3 if query.level == "study" else 2


def matches(tables: SearchTables, rows: Iterable[Any], query: QidoQuery, made: MadeMatches) -> list[Match]:
    """Rows of `tables`, with what `order_columns` asked of them."""
    if not made.number:
        return [Match(tables, row) for row in rows]
    names = [f"sort{number}" for number in range(_sorts(query))]
    return [Match(tables, row, tuple(getattr(row, name) for name in names)) for row in rows]


def _page_of_tables(
    connection: Connection, sources: Sequence[SearchTables], query: QidoQuery, limit: int, made: MadeMatches
) -> list[Match]:
    if len(sources) != 1:
        return _page_of_several(connection, sources, query, limit, made) if sources else []
    (tables,) = sources
    plan = look_into(connection, tables, query)
    statement, values = page_of_rows(tables, query, limit, plan, order_columns(tables, query, made))
    return matches(tables, connection.execute(statement, values).all(), query, made)


def _page_of_several(
    connection: Connection, sources: Sequence[SearchTables], query: QidoQuery, limit: int, made: MadeMatches
) -> list[Match]:
    """The page of the sources' answers put into one order."""
    parts = [_keys_with_order(tables, query, query.offset + limit) for tables in sources]
    both = union_all(*parts).subquery("both")
    keys = [both.c[f"o{number}"] for number in range(len(order_keys(sources[0], query)))]
    directions = [descending for _, descending in order_keys(sources[0], query)]
    by = [key.desc() if down else key.asc() for key, down in zip(keys, directions, strict=True)]
    wanted = select(both.c.source, both.c.key).order_by(*by).limit(limit).offset(query.offset)
    places = [(row.source, row.key) for row in connection.execute(wanted)]
    rows: dict[tuple[str, int], Match] = {}
    for tables in sources:
        mine = [key for name, key in places if name == tables.name]
        for some in portions(mine):
            key = tables.key(query.level)
            columns = [key.label("key"), *tables.columns(query), *order_columns(tables, query, made)]
            statement = select(*columns).where(key.in_(some)).select_from(tables.answer_source(query))
            for match in matches(tables, connection.execute(statement), query, made):
                rows[tables.name, match.row.key] = match
    return [rows[place] for place in places if place in rows]


def _keys_with_order(tables: SearchTables, query: QidoQuery, most: int) -> Select[Any]:
    keys = [(key.label(f"o{number}")) for number, (key, _) in enumerate(order_keys(tables, query))]
    columns = [literal(tables.name).label("source"), tables.key(query.level).label("key"), *keys]
    # several rows of one UID differ by their key last of all, here by the place that they have in one source
    part = matching(tables, query, columns).order_by(*order(tables, query)).limit(most).subquery()
    return select(part)
