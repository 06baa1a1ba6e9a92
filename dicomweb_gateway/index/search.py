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
from dicomweb_gateway.index.made_matches import NOTHING_MADE, Made, MadeMatches
from dicomweb_gateway.index.merging import Match, is_capped
from dicomweb_gateway.index.search_pages import ahead, merged, page_of_matches
from dicomweb_gateway.index.search_tables import SearchTables
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
    judged = _judged(sources, query)
    if not judged and not (made.was_read and _has_no_rows(connection, sources, query)):
        raise InvalidRequest(f"{_unheld(query, sources)}: this index does not hold the attribute")
    if any(own.stored for _, own in judged):
        return _examined(connection, judged, query, made)
    able, query = [tables for tables, _ in judged], judged[0][1] if judged else query
    _refuse_too_many(connection, able, query, made)
    # One more than the page tells whether there is more, for the price of a row.
    rows = page_of_matches(connection, able, query, made) if query.page else []
    more, rows = len(rows) > query.page, rows[: query.page]
    total = _total(connection, able, query, made, len(rows), more)
    return _result(query, _answers(connection, query, rows), total)


def matches_made(connection: Connection, sources: Sequence[SearchTables], query: QidoQuery) -> MadeMatches:
    """What `search` would find, to be merged with the rows of other tables that know none of it."""
    rows = query.offset + query.page + 1
    ahead_of_page = replace(query, offset=0, limit=rows, max_results=rows, total_count=False)
    judged = _judged(sources, ahead_of_page)
    found = examine(connection, judged, ahead_of_page)
    total = found.total
    if total is None and any(own.stored for _, own in judged):
        total = examine(connection, judged, replace(ahead_of_page, total_count=True)).total
    elif total is None:
        total = sum(connection.execute(number_of_matches(one, query)).scalar_one() for one in sources)
    answers = _answers(connection, query, found.matches)
    made = [Made(tuple(one.order), told) for one, told in zip(found.matches, answers, strict=True)]
    return MadeMatches(True, total or 0, made)


def _judged(sources: Sequence[SearchTables], query: QidoQuery) -> list[Judged]:
    """Those that can judge all keys, with the query as they do; what sorts need not be known to all."""
    if len(sources) == 1 and not all(sources[0].holds(IsEmpty(key.attribute)) for key in query.order):
        return []
    both = ((tables, tables.judged(query)) for tables in sources)
    return [(tables, own) for tables, own in both if own is not None]


def _examined(
    connection: Connection, judged: list[Judged], query: QidoQuery, made: MadeMatches
) -> SearchResult:
    found = examine(connection, judged, ahead(query, made))
    total = None if found.total is None else found.total + made.number
    most = query.hard_max_results
    if most is not None and query.limit is None and total is not None and total > most:
        raise _too_many(most)
    rows = merged(found.matches, query, made)[: query.page]
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
