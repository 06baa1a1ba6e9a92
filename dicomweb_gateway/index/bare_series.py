"""Series of the AWS tables without instance rows: the Lambda's instance level is off, or it failed (flaw 7).

A series with any instance row counts as whole.
"""

from threading import Lock
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, exists, func, select

from dicomweb_gateway.errors import InvalidRequest, PayloadTooLarge
from dicomweb_gateway.index import tables as aws
from dicomweb_gateway.index.patterns import Expression
from dicomweb_gateway.index.unknown_rows import UNKNOWN, unknown_series
from dicomweb_gateway.qido.expression import QidoQuery, UidIn

_STUDY, _SERIES, _INSTANCE = aws.study, aws.series, aws.instance
_KEY = _SERIES.c.series_pkey

IS_BARE: Expression = ~exists().where(_INSTANCE.c.series_pkey == _KEY)
"""The series has no instance rows."""

MOST_NAMED = 1000
"""Such series whose documents one search reads where it names studies or series by their UIDs."""

MOST_UNNAMED = 20
"""The same where it names none."""

_PORTION = 500_000
"""Keys that one statement looks at: half a second."""

_AGAIN = 10_000
"""Newest keys that are looked at each time: a lower key may be committed after a higher one."""

_UIDS = {
    "StudyInstanceUID": _STUDY.c.studyinstanceuid,
    "SeriesInstanceUID": _SERIES.c.seriesinstanceuid,
}


class BareSeries(NamedTuple):
    """A series without instance rows."""

    study_uid: str
    series_uid: str


class BareSeriesFinder:
    """Finds those that an instance search must read documents for; any number of threads may ask.

    In a database without our side tables a search that names no study is about all series. Those that have
    rows keep them, so only new ones and those without any are looked at again: the first look at 3,000,000
    takes three seconds, the next ones milliseconds.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._bare: list[int] = []
        self._upto = 0

    def find(self, connection: Connection, query: QidoQuery, ours: bool) -> list[BareSeries]:
        """Those in the scope of an instance search that our side tables, where `ours` are there, do not know.

        InvalidRequest where no study is named and there are more than MOST_UNNAMED of them, PayloadTooLarge
        above MOST_NAMED: a list without their instances would look like a complete one.
        """
        named = scope_conditions(query)
        statement = _uids_of_bare()
        if ours:
            statement = statement.where(UNKNOWN["series"])
        if named:
            found = _limited(connection, statement.where(*named), MOST_NAMED)
            if len(found) > MOST_NAMED:
                raise PayloadTooLarge("too many series without instance rows in the index: name one study")
            return found
        keys = unknown_series() if ours else self._among_all(connection)
        found = _limited(connection, statement.where(_KEY.in_(keys)), MOST_UNNAMED)
        if len(found) > MOST_UNNAMED:
            raise InvalidRequest(
                "the index has series without instance rows: name a study (StudyInstanceUID)"
            )
        return found

    def _among_all(self, connection: Connection) -> list[int]:
        """Keys of series without rows, one more than MOST_UNNAMED at most.

        What was looked at is remembered portion by portion, so that a look that took too long goes on later.
        """
        with self._lock:
            newest = connection.execute(select(func.max(_KEY))).scalar() or 0
            bare = select(_KEY).where(IS_BARE).order_by(_KEY)
            found = list(connection.execute(bare.where(_KEY.in_(self._bare))).scalars())
            start = self._upto
            while start < newest and len(found) <= MOST_UNNAMED:
                end = min(start + _PORTION, newest)
                new = bare.where(_KEY.between(start + 1, end), _KEY.not_in(found))
                found += connection.execute(new.limit(MOST_UNNAMED + 1 - len(found))).scalars()
                if len(found) <= MOST_UNNAMED:
                    start = end
                    self._upto = max(self._upto, min(end, newest - _AGAIN))
                self._bare = found
            return found


def scope_conditions(query: QidoQuery) -> list[Expression]:
    """What names studies and series in a search, its path or exact UIDs; nothing where it names none."""
    named: list[Expression] = [_UIDS[one.attribute.keyword].in_(one.values) for one in scope_keys(query)]
    if query.study_uid is not None:
        named.append(_STUDY.c.studyinstanceuid == query.study_uid)
    if query.series_uid is not None:
        named.append(_SERIES.c.seriesinstanceuid == query.series_uid)
    return named


def scope_keys(query: QidoQuery) -> list[UidIn]:
    """The keys of a search that name studies and series."""
    uids = (one for one in query.conditions if isinstance(one, UidIn))
    return [one for one in uids if one.attribute.keyword in _UIDS]


def _uids_of_bare() -> Select[Any]:
    return (
        select(_STUDY.c.studyinstanceuid, _SERIES.c.seriesinstanceuid)
        .join(_SERIES, _SERIES.c.study_pkey == _STUDY.c.study_pkey)
        .where(IS_BARE)
    )


def _limited(connection: Connection, statement: Select[Any], most: int) -> list[BareSeries]:
    return [BareSeries(*row) for row in connection.execute(statement.limit(most + 1))]
