"""Searching in whatever tables the database has: ours, or those of the AWS project alone."""

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Engine, event, func, select

from dicomweb_gateway.dicom.json_model import JsonObject, element
from dicomweb_gateway.errors import IndexUnavailable
from dicomweb_gateway.index import tables as aws
from dicomweb_gateway.index.aws_values import stored_values
from dicomweb_gateway.index.aws_views import over_aws_tables
from dicomweb_gateway.index.chunks import portions
from dicomweb_gateway.index.engine import lacks_table, reading
from dicomweb_gateway.index.search import SearchResult, search
from dicomweb_gateway.qido.expression import QidoQuery

_STUDY_UID, _SERIES_UID = "0020000D", "0020000E"
_LISTS = {"00080008": "CS", "00281050": "DS", "00281051": "DS"}
"""Elements whose column may hold a list as Python writes it (flaw 2)."""


class IndexSearch:
    """Answers searches; `engine` leads to an index with our side tables, or to one without any.

    Without them the AWS columns are searched: answers hold what those columns hold, keys that have no column
    find nothing, and names are matched without regard to case only as far as the database folds it.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._aws = engine.execution_options()
        event.listen(self._aws, "before_cursor_execute", _rewritten, retval=True)

    def __call__(self, query: QidoQuery) -> SearchResult:
        """All that matches `query`, one page of it; see `search.search`."""
        try:
            return search(self._engine, query)
        except IndexUnavailable as error:
            if self._engine.dialect.name == "sqlite" or not lacks_table(error.__cause__):
                raise
        result = search(self._aws, query)
        with reading(self._engine) as connection:
            return replace(result, rows=_mended(connection, result.rows))


def _rewritten(
    _connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool
) -> tuple[str, Any]:
    return over_aws_tables(statement), parameters


def _mended(connection: Connection, rows: list[JsonObject]) -> list[JsonObject]:
    """The answers with numbers that are counted, not those that the Lambda left (Q-49), and lists read."""
    studies = {row[_STUDY_UID]["Value"][0] for row in rows if "00201206" in row or "00201208" in row}
    series = {row[_SERIES_UID]["Value"][0] for row in rows if "00201209" in row}
    series_of = _counted(connection, aws.study.c.studyinstanceuid, aws.series.c.series_pkey, studies)
    instances_of = _counted(connection, aws.study.c.studyinstanceuid, aws.instance.c.instance_pkey, studies)
    in_series = _counted(connection, aws.series.c.seriesinstanceuid, aws.instance.c.instance_pkey, series)
    counts = (
        ("00201206", _STUDY_UID, series_of),
        ("00201208", _STUDY_UID, instances_of),
        ("00201209", _SERIES_UID, in_series),
    )
    return [_mended_row(row, counts) for row in rows]


def _mended_row(row: JsonObject, counts: Any) -> JsonObject:
    changed = {
        tag: element("IS", [numbers.get(row[uid]["Value"][0], 0)])
        for tag, uid, numbers in counts
        if tag in row
    }
    for tag, vr in _LISTS.items():
        if row.get(tag, {}).get("Value"):
            changed[tag] = element(vr, stored_values(row[tag]["Value"][0]))
    return {**row, **changed}


def _counted(connection: Connection, uid: Any, key: Any, uids: set[str]) -> dict[str, int]:
    """How many different `key`s there are below each of `uids`."""
    tables = aws.study.outerjoin(aws.series, aws.series.c.study_pkey == aws.study.c.study_pkey).outerjoin(
        aws.instance, aws.instance.c.series_pkey == aws.series.c.series_pkey
    )
    found: dict[str, int] = {}
    for some in portions(uids):
        query = select(uid, func.count(key.distinct())).select_from(tables).where(uid.in_(some)).group_by(uid)
        found.update((row[0], row[1]) for row in connection.execute(query))
    return found
