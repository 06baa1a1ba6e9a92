"""Runs a QidoQuery: the page of keys first, then the rows of that page, then DICOM JSON."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from dicomweb_gateway.dicom.dictionary import attribute_of_tag, tag_text
from dicomweb_gateway.dicom.json_model import JsonObject
from dicomweb_gateway.errors import InvalidRequest, PayloadTooLarge
from dicomweb_gateway.index.bare_series import scope_keys
from dicomweb_gateway.index.compiler import number_of_matches, some_matches
from dicomweb_gateway.index.made_matches import NOTHING_MADE, MadeMatches
from dicomweb_gateway.index.search_pages import (
    Match,
    ahead,
    matches,
    merged,
    order_columns,
    page_of_matches,
)
from dicomweb_gateway.index.search_tables import SearchTables
from dicomweb_gateway.index.stored_search import examine, is_capped
from dicomweb_gateway.qido.expression import (
    Condition,
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

    `rows`: DICOM JSON objects, keys ascending, without RetrieveURL (00081190), which needs the base URL.
    `total`: number of matches where known. `remaining`: matches after these rows where their number is
    known, as it always is when the server's own cap cut them off, else 0. `warnings`: texts for Warning
    headers, that of `remaining` first (Q-33).
    """

    rows: list[JsonObject]
    total: int | None
    remaining: int
    warnings: tuple[str, ...]


def search(
    connection: Connection,
    sources: Sequence[SearchTables],
    query: QidoQuery,
    made: MadeMatches = NOTHING_MADE,
) -> SearchResult:
    """All that matches `query` in `sources` or was `made`, one page; no resource may stand in two of them.

    Raises InvalidRequest for what none of the sources can match, unless documents hold all that the search
    is about; PayloadTooLarge where Q-39 asks for it.
    """
    able = [tables for tables in sources if _is_able(tables, query, sources)]
    if not able and not (made.was_read and _has_no_rows(connection, sources, query)):
        raise InvalidRequest(f"{_unheld(query, sources)}: this index does not hold the attribute")
    if query.stored and able:
        return _examined(connection, able[0], query, made)
    _refuse_too_many(connection, able, query, made)
    # One more than the page tells whether there is more, for the price of a row.
    rows = page_of_matches(connection, able, query, made) if query.page else []
    more, rows = len(rows) > query.page, rows[: query.page]
    total = _total(connection, able, query, made, len(rows), more)
    return _result(query, _answers(connection, query, rows), total)


def _examined(
    connection: Connection, tables: SearchTables, query: QidoQuery, made: MadeMatches
) -> SearchResult:
    found = examine(connection, tables, ahead(query, made), order_columns(tables, query, made))
    total = None if found.total is None else found.total + made.number
    most = query.hard_max_results
    if most is not None and query.limit is None and total is not None and total > most:
        raise _too_many(most)
    rows = merged(matches(tables, found.rows, query, made), query, made)[: query.page]
    return _result(query, _answers(connection, query, rows), total)


def _has_no_rows(connection: Connection, sources: Sequence[SearchTables], query: QidoQuery) -> bool:
    """Whether no table holds anything of what the search is about, whatever else it asks for."""
    about = replace(query, conditions=tuple(scope_keys(query)), stored=(), order=())
    return not any(connection.execute(some_matches(one, about, 1)).scalar_one() for one in sources)


def _result(query: QidoQuery, rows: list[JsonObject], total: int | None) -> SearchResult:
    remaining = max(0, total - query.offset - len(rows)) if total is not None else 0
    warnings = query.warnings
    if remaining > 0:
        text = f"There are {remaining} additional results that can be requested"
        warnings = (text, *warnings)
    return SearchResult(rows, total, remaining, warnings)


def _needed(query: QidoQuery, sources: Sequence[SearchTables]) -> list[Condition]:
    """What a source must hold: keys always; what is sorted by may be unknown to some, not to all."""
    sorts = [IsEmpty(key.attribute) for key in query.order] if len(sources) == 1 else []
    return [*query.conditions, *sorts]


def _is_able(tables: SearchTables, query: QidoQuery, sources: Sequence[SearchTables]) -> bool:
    return (tables.holds_attributes or not query.stored) and all(map(tables.holds, _needed(query, sources)))


def _unheld(query: QidoQuery, sources: Sequence[SearchTables]) -> str:
    """The first attribute that no source holds."""
    asked = [*query.stored, *(one for one in _needed(query, sources) if not sources[0].holds(one))]
    for condition in asked:
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


def _refuse_too_many(
    connection: Connection, sources: Sequence[SearchTables], query: QidoQuery, made: MadeMatches
) -> None:
    most = query.hard_max_results
    if most is None or query.limit is not None:
        return
    found = sum(connection.execute(some_matches(one, query, most + 1)).scalar_one() for one in sources)
    if found + made.number > most:
        raise _too_many(most)


def _too_many(most: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"more than {most} matches: narrow the query, or page through it with limit")


def _total(
    connection: Connection,
    sources: Sequence[SearchTables],
    query: QidoQuery,
    made: MadeMatches,
    found: int,
    more: bool,
) -> int | None:
    """The number of matches: for nothing where the page shows it, counted where it is needed (Q-35)."""
    if not more and query.page and (found or not query.offset):
        return query.offset + found
    if query.total_count or (more and is_capped(query)):
        counts = (connection.execute(number_of_matches(one, query)).scalar_one() for one in sources)
        return sum(map(int, counts)) + made.number
    return None


def _answers(connection: Connection, query: QidoQuery, rows: list[Match]) -> list[JsonObject]:
    """The rows as DICOM JSON, in their order."""
    by_source: dict[str, tuple[SearchTables, list[Any]]] = {}
    for tables, row, _ in rows:
        if tables is not None:
            by_source.setdefault(tables.name, (tables, []))[1].append(row)
    answers = {
        name: iter(tables.answers(connection, query, found)) for name, (tables, found) in by_source.items()
    }
    return [row.answer if tables is None else next(answers[tables.name]) for tables, row, _ in rows]
