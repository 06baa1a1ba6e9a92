"""The page of a search, as a statement that is made once for all searches of one shape.

SQLAlchemy takes about as long to make a statement as a database to answer it. The shape of a search is the
search with names in the place of its values: all that the text of its SQL depends on. Statements are kept by
shape, so that no value of a search outlives its request.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from sqlalchemy import Integer, Select, bindparam, select

from dicomweb_gateway.index.compiler import order, page_of_keys
from dicomweb_gateway.index.search_tables import Candidates, Plan, SearchTables
from dicomweb_gateway.qido.attributes import Level
from dicomweb_gateway.qido.expression import (
    Condition,
    IsEmpty,
    ModalitiesIn,
    NumberIn,
    OrderKey,
    QidoQuery,
    RangeIn,
    TextIn,
    TextPattern,
    UidIn,
)

KEPT = 256
"""Statements, of some 10 KB each."""

MOST_VALUES = 32
"""Values of a kept statement: lists of any length would make as many shapes, and large ones."""

_ROWS, _OFFSET, _KEYS = "most_rows", "first_row", "keys"
_ROWS_BOUND, _OFFSET_BOUND = bindparam(_ROWS, type_=Integer), bindparam(_OFFSET, type_=Integer)

Put = Callable[[Any], Any]
"""What is put in the place of a value."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """`found`: what looking into each of the conditions gave: None nothing, True the keys that meet it."""

    level: Level
    study_uid: str | None
    series_uid: str | None
    conditions: tuple[Condition, ...]
    found: tuple[bool | None, ...]
    order: tuple[OrderKey, ...]


def page_of_rows(
    tables: SearchTables, query: QidoQuery, rows: int, plan: Plan, more: Sequence[Any] = ()
) -> tuple[Select[Any], dict[str, Any]]:
    """`tables.columns` of the matches in order, at most `rows` of them from the offset on: SQL and values.

    `more`: further columns.
    """
    values: dict[str, Any] = {_ROWS: rows, _OFFSET: query.offset}
    shape = _shape_of(query, plan, values) if tables.has_shapes and not more else None
    if shape is None:
        return _statement(tables, query, plan, more), {_ROWS: rows, _OFFSET: query.offset}
    return _kept(tables, shape), values


def _shape_of(query: QidoQuery, plan: Plan, values: dict[str, Any]) -> _Shape | None:
    """The shape, its values added to `values` by name; None where the SQL depends on themselves."""

    def name(value: Any) -> str:
        values[f"value{len(values)}"] = value
        return f"value{len(values) - 1}"

    conditions = [_with(one, name) for one in query.conditions]
    if None in conditions or len(values) > MOST_VALUES:
        return None
    found = [plan.get(one) for one in query.conditions]
    for number, candidates in enumerate(found):
        if candidates is not None and candidates.keys is not None:
            values[f"{_KEYS}{number}"] = candidates.keys
    return _Shape(
        query.level,
        None if query.study_uid is None else name(query.study_uid),
        None if query.series_uid is None else name(query.series_uid),
        tuple(one for one in conditions if one is not None),
        tuple(None if one is None else one.keys is not None for one in found),
        query.order,
    )


@lru_cache(KEPT)
def _kept(tables: SearchTables, shape: _Shape) -> Select[Any]:
    conditions = [_with(one, bindparam) for one in shape.conditions]
    query = QidoQuery(
        shape.level,
        None if shape.study_uid is None else _bound(shape.study_uid),
        None if shape.series_uid is None else _bound(shape.series_uid),
        tuple(one for one in conditions if one is not None),
        order=shape.order,
    )
    plan = {
        condition: Candidates(_bound(f"{_KEYS}{number}", expanding=True) if has_keys else None)
        for number, (condition, has_keys) in enumerate(zip(query.conditions, shape.found, strict=True))
        if has_keys is not None
    }
    return _statement(tables, query, plan)


def _bound(name: str, **options: Any) -> Any:
    return bindparam(name, **options)


def _statement(tables: SearchTables, query: QidoQuery, plan: Plan, more: Sequence[Any] = ()) -> Select[Any]:
    page = page_of_keys(tables, query, _ROWS_BOUND, _OFFSET_BOUND, plan).subquery("page")
    source = tables.answer_source(query).join(page, page.c.key == tables.key(query.level))
    columns = [*tables.columns(query), *more]
    return select(*columns).select_from(source).order_by(*order(tables, query))


def _with(condition: Condition, put: Put) -> Condition | None:
    """The condition with its values replaced; None where its SQL depends on more than their number."""
    match condition:
        case UidIn(_, uids):
            return replace(condition, values=tuple(map(put, uids)))
        case NumberIn(_, numbers):
            return replace(condition, values=tuple(map(put, numbers)))
        case TextIn(_, patterns) | ModalitiesIn(patterns):
            if any(one.wildcard for one in patterns):
                return None
            return replace(condition, patterns=tuple(TextPattern(put(one.text), False) for one in patterns))
        case RangeIn(_, ranges):
            return replace(condition, ranges=tuple(_range_with(one, put) for one in ranges))
        case IsEmpty():
            return condition
    return None


def _range_with(limits: Any, put: Put) -> Any:
    start, end = (None if one is None else put(one) for one in (limits.start, limits.end))
    return replace(limits, start=start, end=end)
