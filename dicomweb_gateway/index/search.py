"""Runs a QidoQuery: the page of keys first, then the rows of that page, then DICOM JSON."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, Row, select

from dicomweb_gateway.dicom.json_model import JsonObject
from dicomweb_gateway.errors import InvalidRequest, PayloadTooLarge
from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index.chunks import portions
from dicomweb_gateway.index.compiler import (
    joined,
    key_column,
    number_of_matches,
    order,
    page_of_keys,
    some_matches,
)
from dicomweb_gateway.index.engine import reading
from dicomweb_gateway.qido.answers import finished, instance_part, series_part, study_part
from dicomweb_gateway.qido.expression import QidoQuery

_STUDY, _SERIES, _INSTANCE = side.gateway_study, side.gateway_series, side.gateway_instance

_STUDY_COLUMNS = (
    _STUDY.c.study_uid,
    _STUDY.c.series_count,
    _STUDY.c.instance_count.label("study_instances"),
    _STUDY.c.attributes.label("study_attributes"),
)
_SERIES_COLUMNS = (
    _SERIES.c.series_uid,
    _SERIES.c.instance_count.label("series_instances"),
    _SERIES.c.attributes.label("series_attributes"),
)
_INSTANCE_COLUMNS = (
    _INSTANCE.c.instance_uid,
    _INSTANCE.c.transfer_syntax_uid,
    _INSTANCE.c.pixel_keyword,
    _INSTANCE.c.attributes.label("instance_attributes"),
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


def search(engine: Engine, query: QidoQuery) -> SearchResult:
    """All that matches `query`, one page of it.

    Raises PayloadTooLarge where Q-39 asks for it, IndexUnavailable when the database does not answer.
    """
    if query.stored:
        raise InvalidRequest("one of the keys has no column in the index")
    with reading(engine) as connection:
        _refuse_too_many(connection, query)
        # One more than the page tells whether there is more, for the price of a row.
        rows = _rows(connection, query, query.page + 1) if query.page else []
        more, rows = len(rows) > query.page, rows[: query.page]
        total = _total(connection, query, len(rows), more)
        modalities = _modalities(connection, {row.study_uid for row in rows}) if _shows_study(query) else {}
    remaining = max(0, total - query.offset - len(rows)) if total is not None else 0
    warnings = query.warnings
    if remaining > 0:
        text = f"There are {remaining} additional results that can be requested"
        warnings = (text, *warnings)
    return SearchResult([_answer(query, row, modalities) for row in rows], total, remaining, warnings)


def _refuse_too_many(connection: Connection, query: QidoQuery) -> None:
    most = query.hard_max_results
    if most is None or query.limit is not None:
        return
    if connection.execute(some_matches(query, most + 1)).scalar_one() > most:
        raise PayloadTooLarge(f"more than {most} matches: narrow the query, or page through it with limit")


def _rows(connection: Connection, query: QidoQuery, limit: int) -> list[Row[Any]]:
    page = page_of_keys(query, limit).subquery("page")
    columns = [*_STUDY_COLUMNS]
    if query.level != "study":
        columns += _SERIES_COLUMNS
    if query.level == "instance":
        columns += _INSTANCE_COLUMNS
    statement = joined(query.level, select(*columns))
    statement = statement.join(page, page.c.key == key_column(query.level)).order_by(*order(query))
    return list(connection.execute(statement).all())


def _total(connection: Connection, query: QidoQuery, found: int, more: bool) -> int | None:
    """The number of matches: for nothing where the page shows it, counted where it is needed (Q-35)."""
    if not more and query.page and (found or not query.offset):
        return query.offset + found
    capped = more and (query.limit is None or query.limit > query.max_results)
    if query.total_count or capped:
        total: int = connection.execute(number_of_matches(query)).scalar_one()
        return total
    return None


def _modalities(connection: Connection, study_uids: Iterable[str]) -> dict[str, set[str]]:
    modalities: dict[str, set[str]] = {}
    for uids in portions(study_uids):
        query = select(_SERIES.c.study_uid, _SERIES.c.modality).distinct()
        query = query.where(_SERIES.c.study_uid.in_(uids), _SERIES.c.modality.is_not(None))
        for study_uid, modality in connection.execute(query):
            modalities.setdefault(study_uid, set()).add(modality)
    return modalities


def _shows_study(query: QidoQuery) -> bool:
    """Whether rows carry the study answer's attributes (Q-47)."""
    return query.level == "study" or query.study_uid is None


def _shows_series(query: QidoQuery) -> bool:
    return query.level == "series" or (query.level == "instance" and query.series_uid is None)


def _answer(query: QidoQuery, row: Row[Any], modalities: dict[str, set[str]]) -> JsonObject:
    needs_above = bool(query.include)
    parts: list[JsonObject] = []
    levels: list[JsonObject] = []
    if _shows_study(query) or needs_above:
        levels.append(orjson.loads(row.study_attributes))
    if _shows_study(query):
        found = modalities.get(row.study_uid, ())
        parts.append(study_part(levels[-1], row.study_uid, found, row.series_count, row.study_instances))
    if query.level != "study" and (_shows_series(query) or needs_above):
        levels.append(orjson.loads(row.series_attributes))
    if _shows_series(query):
        parts.append(series_part(levels[-1], row.study_uid, row.series_uid, row.series_instances))
    if query.level == "instance":
        levels.append(orjson.loads(row.instance_attributes))
        uids = row.study_uid, row.series_uid, row.instance_uid
        has_frames = row.pixel_keyword is not None
        parts.append(instance_part(levels[-1], uids, row.transfer_syntax_uid, has_frames))
    return finished(parts, levels, query.include, query.include_all)
