"""Looks into the conditions of a search before its page is asked for.

Whether to look studies up by what matches or to walk through them in their order until the page is full is
the difference between a millisecond and seconds on a large index, and databases guess it badly: they know
how often a value occurs on average, not how often this one does.
"""

from sqlalchemy import Connection, func, select

from dicomweb_gateway.index.search_tables import Candidates, Driver, Plan, SearchTables
from dicomweb_gateway.qido.attributes import QueryAttribute
from dicomweb_gateway.qido.expression import Condition, QidoQuery, TextIn, UidIn

LISTED = 300
"""Keys that are put into the query themselves."""

MANY = 5000
"""Matches of a condition above which walking is cheaper: the page is full after a few thousand studies."""

_SELECTIVE = frozenset({"StudyInstanceUID", "PatientID", "AccessionNumber", "StudyID"})


def look_into(connection: Connection, tables: SearchTables, query: QidoQuery) -> Plan:
    """What was found out about the conditions of a search of studies in their usual order.

    Nothing where another key names few studies anyway, or where another order needs all matches.
    """
    if query.level != "study" or query.order or query.study_uid or _is_selective(query):
        return {}
    found = {}
    for condition in query.conditions:
        driver = tables.driver(condition)
        candidates = None if driver is None else _candidates(connection, driver)
        if candidates is not None:
            found[condition] = candidates
    return found


def _is_selective(query: QidoQuery) -> bool:
    return any(_names_few(condition) for condition in query.conditions)


def _names_few(condition: Condition) -> bool:
    match condition:
        case UidIn(attribute, _):
            return _is_key(attribute)
        case TextIn(attribute, patterns):
            return _is_key(attribute) and not any(one.wildcard for one in patterns)
    return False


def _is_key(attribute: QueryAttribute) -> bool:
    return attribute.keyword in _SELECTIVE


def _candidates(connection: Connection, driver: Driver) -> Candidates | None:
    # what costs as much for a few as for many is looked for only once
    most = LISTED if driver.by_range else MANY
    keys = connection.execute(driver.query.distinct().limit(most + 1)).scalars().all()
    if len(keys) <= most:
        return Candidates(keys)
    if not driver.by_range:
        return Candidates(None)
    some = driver.query.limit(MANY + 1).subquery("some")
    number = connection.execute(select(func.count()).select_from(some)).scalar_one()
    return Candidates(None) if number > MANY else None
