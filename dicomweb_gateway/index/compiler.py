"""A QidoQuery as SQLAlchemy Core: conditions, order and the page of keys; bound parameters only."""

from typing import Any

from sqlalchemy import Select, false, func, null, or_, select

from dicomweb_gateway.index.patterns import Expression, any_of, within
from dicomweb_gateway.index.search_tables import Plan, SearchTables
from dicomweb_gateway.qido.attributes import Matching
from dicomweb_gateway.qido.expression import (
    Condition,
    DecimalIn,
    EmptyOr,
    IsEmpty,
    ItemIn,
    ModalitiesIn,
    NameIn,
    NameWords,
    NumberIn,
    OrderKey,
    QidoQuery,
    RangeIn,
    RequestItem,
    TextIn,
    UidIn,
)

NO_PLAN: Plan = {}


def page_of_keys(
    tables: SearchTables, query: QidoQuery, rows: Expression, offset: Expression, plan: Plan
) -> Select[Any]:
    """Keys of the matching resources in order, at most `rows` of them from `offset` on."""
    keys = matching(tables, query, [tables.key(query.level).label("key")], plan)
    return keys.order_by(*order(tables, query)).limit(rows).offset(offset)


def number_of_matches(tables: SearchTables, query: QidoQuery) -> Select[Any]:
    """How many resources match, whatever limit and offset say."""
    return matching(tables.for_counting(), query, [func.count(tables.key(query.level))])


def some_matches(tables: SearchTables, query: QidoQuery, most: int) -> Select[Any]:
    """How many resources match, counted up to `most`, whatever limit and offset say."""
    found = matching(tables, query, [tables.key(query.level).label("key")]).limit(most).subquery("found")
    return select(func.count()).select_from(found)


def matching(tables: SearchTables, query: QidoQuery, columns: list[Any], plan: Plan = NO_PLAN) -> Select[Any]:
    """`columns` of all that matches, in no order."""
    statement = select(*columns).select_from(tables.source(query)).where(*tables.own_rows(query))
    return statement.where(*(_condition(tables, one, plan) for one in query.conditions))


def order(tables: SearchTables, query: QidoQuery) -> list[Expression]:
    """The total order of the answer: what was asked for, else Q-37, and the UIDs last."""
    return [key.desc() if descending else key.asc() for key, descending in order_keys(tables, query)]


def order_keys(tables: SearchTables, query: QidoQuery) -> list[tuple[Expression, bool]]:
    """What is sorted by, and whether descending; NULL is less than every value."""
    uids = [(uid, False) for uid in tables.uids(query.level)]
    if query.order:
        return [*((_order_key(tables, key), key.descending) for key in query.order), *uids]
    if query.level == "study":
        return [(column, True) for column in tables.latest_first()]
    return [(tables.by_number(query.level), False), *uids]


def _condition(tables: SearchTables, condition: Condition, plan: Plan) -> Expression:
    match condition:
        case UidIn(attribute, values) | NumberIn(attribute, values) | DecimalIn(attribute, values):
            return tables.column(attribute).in_(values) if values else false()
        case TextIn(attribute, patterns):
            return tables.texts(attribute, patterns)
        case RangeIn(attribute, ranges):
            return any_of(within(tables.column(attribute), one) for one in ranges)
        case NameIn():
            return tables.names(condition, plan.get(condition))
        case NameWords():
            return tables.words(condition, plan.get(condition))
        case ModalitiesIn():
            return tables.modalities(condition, plan.get(condition))
        case IsEmpty(attribute):
            return tables.empty(attribute)
        case EmptyOr(empty, other):
            return or_(tables.empty(empty.attribute), _condition(tables, other, NO_PLAN))
        case RequestItem():
            return tables.request(condition)
        case ItemIn():
            raise TypeError("no database judges what stands in attributes alone (matching.py)")


def _order_key(tables: SearchTables, key: OrderKey) -> Expression:
    if not tables.holds(IsEmpty(key.attribute)):
        return null()
    by_name = key.attribute.matching is Matching.NAME
    return tables.alphabetic(key.attribute) if by_name else tables.column(key.attribute)
