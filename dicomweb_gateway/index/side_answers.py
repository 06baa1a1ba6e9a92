"""Rows of our side tables as answers of a search."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import Connection, FromClause, Select, String, and_, bindparam, case, func, select, true

from dicomweb_gateway.dicom.json_model import JsonObject
from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index.chunks import PORTION, portions
from dicomweb_gateway.index.parsed import ParsedTexts
from dicomweb_gateway.index.shown import instances_shown, series_shown
from dicomweb_gateway.index.unknown_below import Below
from dicomweb_gateway.qido.answers import Found, answer
from dicomweb_gateway.qido.expression import QidoQuery
from dicomweb_gateway.sight import Sight

_STUDY, _SERIES, _INSTANCE = side.gateway_study, side.gateway_series, side.gateway_instance

_STUDY_COLUMNS = (
    _STUDY.c.study_uid,
    _STUDY.c.study_key,
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

_SIZES = (1, 10, 25, 50, 100, 200, PORTION)
"""UIDs of one statement; lists are filled up to the next of these by repeating the last."""
_LARGEST = 4096
"""Characters of attributes whose answers are kept: 512 of such, some eight times as large in memory."""
_STUDIES = QidoQuery("study")

_PARSED = ParsedTexts()
"""Of this process."""


def columns(query: QidoQuery) -> list[Any]:
    """What `found_rows` reads of a row."""
    chosen: list[Any] = [*_STUDY_COLUMNS]
    if query.level != "study":
        chosen += _SERIES_COLUMNS
    if query.level == "instance":
        chosen += _INSTANCE_COLUMNS
    return chosen


def found_rows(connection: Connection, query: QidoQuery, rows: Sequence[Any]) -> list[Found]:
    """Rows of `columns` with the modalities of their studies."""
    uids = {row.study_uid for row in rows}
    modalities = _modalities(connection, uids) if query.shows_study else {}
    return [_found(query, row, modalities) for row in rows]


def study_answers(connection: Connection, rows: Sequence[Any]) -> list[JsonObject]:
    """Rows of `columns` as answers of a search of studies that asks for no more than is always there.

    Lists of studies are asked for again and again; who gets an answer may put elements in and out.
    """
    modalities = _modalities(connection, {row.study_uid for row in rows})
    answers = []
    for row in rows:
        text = row.study_attributes
        make = _study_answer if len(text) <= _LARGEST else _study_answer.__wrapped__
        below = tuple(sorted(modalities.get(row.study_uid, ())))
        answers.append(make(row.study_uid, row.series_count, row.study_instances, text, below).copy())
    return answers


@lru_cache(maxsize=512)
def _study_answer(
    study_uid: str, series: int, instances: int, attributes: str, modalities: tuple[str, ...]
) -> JsonObject:
    """The answer; all that it depends on is the key, so a row that changed is never answered as it was."""
    found = Found(
        study_uid=study_uid,
        study=_PARSED(attributes),
        modalities=modalities,
        series_of_study=series,
        instances_of_study=instances,
    )
    return answer(_STUDIES, found)


def count_visible(connection: Connection, source: FromClause, sight: Sight, answers: list[Found]) -> None:
    """Replace numbers and modalities by those of what `sight` shows.

    `source`: series joined with their studies.
    """
    shown = series_shown(_SERIES, sight, _STUDY)
    given = select(func.count(_INSTANCE.c.instance_key)).where(_INSTANCE.c.series_key == _SERIES.c.series_key)
    given = given.where(*instances_shown(_INSTANCE, sight, _SERIES, _STUDY))
    instances = given.correlate(_SERIES, _STUDY).scalar_subquery()
    series: dict[str, dict[str, int]] = {}
    modalities: dict[str, set[str]] = {}
    several: set[str] = set()
    for uids in portions({found.study_uid for found in answers}):
        query = select(_SERIES.c.study_uid, _SERIES.c.series_uid, _SERIES.c.modality, instances)
        query = query.select_from(source).where(_SERIES.c.study_uid.in_(uids), *shown)
        for study_uid, series_uid, modality, number in connection.execute(query):
            below = series.setdefault(study_uid, {})
            if series_uid in below:
                several.add(study_uid)
            below[series_uid] = below.get(series_uid, 0) + number
            modalities.setdefault(study_uid, set()).update({modality} - {None})
    for study_uid in several:
        series[study_uid] = _counted_once(connection, source, sight, study_uid)
    for found in answers:
        below = series.get(found.study_uid, {})
        found.modalities = modalities.get(found.study_uid, set())
        found.series_of_study, found.instances_of_study = len(below), sum(below.values())
        found.instances_of_series = below.get(found.series_uid, 0)


def _counted_once(connection: Connection, source: FromClause, sight: Sight, study_uid: str) -> dict[str, int]:
    """Numbers of shown instances by series, each once however many variants give it."""
    joined = source.outerjoin(_INSTANCE, _INSTANCE.c.series_key == _SERIES.c.series_key)
    shown = instances_shown(_INSTANCE, sight, _SERIES, _STUDY)
    uid = case((and_(true(), *shown), _INSTANCE.c.instance_uid))
    query = select(_SERIES.c.series_uid, func.count(uid.distinct())).select_from(joined)
    query = query.where(_SERIES.c.study_uid == study_uid, *series_shown(_SERIES, sight, _STUDY))
    return {row[0]: row[1] for row in connection.execute(query.group_by(_SERIES.c.series_uid))}


def _found(query: QidoQuery, row: Any, modalities: dict[str, set[str]]) -> Found:
    needs_above = bool(query.include)
    found = Found(study_uid=row.study_uid)
    if query.shows_study or needs_above:
        found.study = _PARSED(row.study_attributes)
        found.modalities = modalities.get(row.study_uid, set())
        found.series_of_study, found.instances_of_study = row.series_count, row.study_instances
    if query.level != "study" and (query.shows_series or needs_above):
        found.series = _PARSED(row.series_attributes)
        found.instances_of_series = row.series_instances
    if query.level != "study":
        found.series_uid = row.series_uid
    if query.level == "instance":
        found.instance = orjson.loads(row.instance_attributes)
        found.instance_uid, found.stored_syntax = row.instance_uid, row.transfer_syntax_uid
        found.has_frames = row.pixel_keyword is not None
    return found


def add_unknown(below: dict[str, Below], answers: list[Found]) -> None:
    """Count what is unknown below the found studies and series."""
    for found in answers:
        of_study, of_series = below.get(found.study_uid), below.get(found.series_uid)
        if of_study is not None:
            found.series_of_study = (found.series_of_study or 0) + of_study.series
            instances = (found.instances_of_study or 0) + of_study.instances
            found.instances_of_study = None if of_study.is_uncounted else instances
            found.modalities = {*found.modalities, *of_study.modalities}
        if of_series is not None:
            found.instances_of_series = (found.instances_of_series or 0) + of_series.instances


def _modalities(connection: Connection, study_uids: Iterable[str]) -> dict[str, set[str]]:
    modalities: dict[str, set[str]] = {}
    for uids in portions(study_uids):
        size = next(one for one in _SIZES if one >= len(uids))
        uids += uids[-1:] * (size - len(uids))
        values = {f"uid{number}": uid for number, uid in enumerate(uids)}
        for study_uid, modality in connection.execute(_modalities_of(size), values).all():
            modalities.setdefault(study_uid, set()).add(modality)
    return modalities


@lru_cache(maxsize=len(_SIZES))
def _modalities_of(size: int) -> Select[Any]:
    """Made once, as making it takes longer than answering it; so does a list that is put in each time."""
    uids = [bindparam(f"uid{number}", type_=String) for number in range(size)]
    return (
        select(_SERIES.c.study_uid, _SERIES.c.modality)
        .distinct()
        .where(_SERIES.c.study_uid.in_(uids), _SERIES.c.modality.is_not(None))
    )
