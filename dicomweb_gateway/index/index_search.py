"""Searching whatever tables the database has: ours, those of the AWS project, or both beside each other."""

import threading
import time
from typing import Any

from sqlalchemy import Connection, Engine, Select, func, select, text
from sqlalchemy.exc import DBAPIError

from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index import tables as aws
from dicomweb_gateway.index.allowed import AllowedStores
from dicomweb_gateway.index.aws_columns import has_groups
from dicomweb_gateway.index.aws_search import AwsSearch
from dicomweb_gateway.index.engine import lacks_table, reading
from dicomweb_gateway.index.search import SearchResult, search
from dicomweb_gateway.index.search_tables import SearchTables
from dicomweb_gateway.index.side_search import SideSearch
from dicomweb_gateway.index.unknown_rows import UnknownRows, has_ours, number_unknown, unknown_rows
from dicomweb_gateway.qido.expression import QidoQuery


class IndexSearch:
    """Answers searches; `engine` leads to an index with our side tables, or to one without any.

    What our side tables know is answered from there. What only the AWS Lambda wrote is found by the keys
    that its columns hold and answered with what they hold; where it wrote everything, another key raises
    InvalidRequest. `stores`: data stores that are searched, None for all. `trust_seconds`: how long facts
    about the whole of the AWS tables are believed.
    """

    def __init__(self, engine: Engine, stores: AllowedStores = None, trust_seconds: float = 10) -> None:
        self._engine = engine
        self._stores = stores
        self._others = [] if stores is None else _others(stores, engine.dialect.name != "sqlite")
        self._names = NameCollation(trust_seconds)
        self._ours = False
        self._can_be_aws = engine.dialect.name != "sqlite"

    def __call__(self, query: QidoQuery) -> SearchResult:
        """All that matches `query`, one page of it; see `search.search`. Raises IndexUnavailable too."""
        with reading(self._engine) as connection:
            return search(connection, self._sources(connection, query), query)

    def _sources(self, connection: Connection, query: QidoQuery) -> list[SearchTables]:
        stores = self._limit(connection)
        if not self._can_be_aws:
            return [SideSearch(stores)]
        if not self._has_ours(connection):
            return [self._aws(connection, None, stores)]
        number = number_unknown(connection, query)
        if not number:
            return [SideSearch(stores)]
        return [SideSearch(stores, beside=True), self._aws(connection, unknown_rows(query, number), stores)]

    def _has_ours(self, connection: Connection) -> bool:
        """Whether our side tables are there and hold anything; once they do, they are not asked again."""
        if not self._ours:
            try:
                self._ours = has_ours(connection)
            except DBAPIError as error:
                if not lacks_table(error):
                    raise
        return self._ours

    def _aws(self, connection: Connection, unknown: UnknownRows | None, stores: AllowedStores) -> AwsSearch:
        return AwsSearch(lambda: self._names.are_indexed(connection), unknown, stores)

    def _limit(self, connection: Connection) -> AllowedStores:
        """The allowed data stores; None where there are no others in the index, which costs nothing then."""
        for others in self._others:
            try:
                if connection.execute(others).scalar_one():
                    return self._stores
            except DBAPIError as error:
                if not lacks_table(error):
                    raise
        return None


def _others(stores: frozenset[str], can_be_aws: bool) -> list[Select[Any]]:
    """How many image sets of other data stores there are, not counted beyond one, of each family."""
    columns = [side.gateway_imageset.c.datastoreid, aws.imageset.c.datastoreid]
    return [
        select(func.count()).select_from(select(one).where(one.not_in(sorted(stores))).limit(1).subquery())
        for one in (columns if can_be_aws else columns[:1])
    ]


class NameCollation:
    """Whether PatientName can be looked for by its index: asked of the database now and then.

    Any number of threads may ask; a fact that is older than `seconds` is asked for again, by one of them.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._known: bool | None = None
        self._asked_at = float("-inf")

    def are_indexed(self, connection: Connection) -> bool:
        """Whether no name has a second component group, and the collation of names knows no case."""
        with self._lock:
            if self._known is None or time.monotonic() - self._asked_at > self._seconds:
                self._known = _knows_no_case(connection) and not _has_groups(connection)
                self._asked_at = time.monotonic()
            return self._known


def _knows_no_case(connection: Connection) -> bool:
    query = text(
        "SELECT collation_name FROM information_schema.columns WHERE table_schema = DATABASE() "
        "AND table_name = 'patient' AND column_name = 'patientname'"
    )
    return str(connection.execute(query).scalar() or "").lower().endswith("_ci")


def _has_groups(connection: Connection) -> bool:
    name = aws.patient.c.patientname
    return connection.execute(select(name).where(has_groups(name)).limit(1)).first() is not None
