"""Searching whatever tables the database has: ours, those of the AWS project, or both beside each other."""

import copy
import logging
import threading
import time
from typing import Any

from sqlalchemy import Connection, Engine, Select, func, select, text
from sqlalchemy.exc import DBAPIError

from dicomweb_gateway.dicom.json_model import element
from dicomweb_gateway.errors import IndexUnavailable
from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index import tables as aws
from dicomweb_gateway.index.aws_columns import has_groups
from dicomweb_gateway.index.aws_reader import AwsReader
from dicomweb_gateway.index.aws_search import AwsSearch
from dicomweb_gateway.index.aws_shown import AwsSight
from dicomweb_gateway.index.bare_series import BareSeries, BareSeriesFinder
from dicomweb_gateway.index.document_search import DocumentSearch
from dicomweb_gateway.index.engine import lacks_table, reading
from dicomweb_gateway.index.gone import GoneSets
from dicomweb_gateway.index.latest_sets import ImageSetSource
from dicomweb_gateway.index.made_matches import NOTHING_MADE, instance_numbers, made_matches, study_facts
from dicomweb_gateway.index.other_variants import searched
from dicomweb_gateway.index.rare_sights import is_rare
from dicomweb_gateway.index.search import SearchResult, search
from dicomweb_gateway.index.search_tables import SearchTables
from dicomweb_gateway.index.side_search import SideSearch
from dicomweb_gateway.index.unknown_rows import UnknownRows, has_ours, number_unknown, unknown_rows
from dicomweb_gateway.index.variants import has_variants
from dicomweb_gateway.qido.expression import QidoQuery
from dicomweb_gateway.sight import EVERYTHING, Grant, Sight

_LOG = logging.getLogger(__name__)

_TRIES = 3
"""Looks at what lacks rows, when it changes all the time."""


class IndexSearch:
    """Answers searches; `engine` leads to an index with our side tables, or to one without any.

    What our side tables know is answered from there. What only the AWS Lambda wrote is found by the keys
    that its columns hold and answered with what they hold; where it wrote everything, another key raises
    InvalidRequest. `sight`: what is found; `seen_by` binds the same search to less. `trust_seconds`: how
    long facts about the whole of the AWS tables are believed.

    Instances of series without instance rows (flaw 7) are found, and counted below one study, in the metadata
    documents that `source` gives; UpstreamError comes through. There all keys can be judged: one without an
    AWS column is refused only where rows are concerned too. `latest_seconds`: how long the latest version
    of an image set is believed. Without a source such instances are not found. What is unknown of numbers
    has no value in answers and matches no number.

    To a sight that wants attributes documents tell what the Lambda alone wrote, and without a source nothing.
    """

    def __init__(
        self,
        engine: Engine,
        sight: Sight = EVERYTHING,
        trust_seconds: float = 10,
        source: ImageSetSource | None = None,
        latest_seconds: float = 60,
    ) -> None:
        self._engine = engine
        self._sight = sight
        self._names = NameCollation(engine, trust_seconds)
        self._ours = False
        self._can_be_aws = engine.dialect.name != "sqlite"
        self._bare = BareSeriesFinder()
        self._documents: AwsReader | None = None
        self._told: DocumentSearch | None = None
        if source is not None and self._can_be_aws:
            self._documents = AwsReader(engine, source, latest_seconds, GoneSets(), sight)
            self._told = DocumentSearch(engine, self._documents)

    def seen_by(self, sight: Sight) -> "IndexSearch":
        """This search, which finds no more than `sight` shows; cheap, all that is kept is shared."""
        bound = copy.copy(self)
        bound._sight = self._sight.narrowed(sight)
        bound._bare = BareSeriesFinder()
        bound._documents = None if self._documents is None else self._documents.seen_by(sight)
        bound._told = None if self._told is None else self._told.seen_by(sight)
        return bound

    def __call__(self, query: QidoQuery) -> SearchResult:
        """All that matches `query`, one page of it; see `search.search`. Raises IndexUnavailable too."""
        told = self._by_documents(query)
        if told is not None:
            return told
        if self._documents is None:
            return self._search(query)
        if query.level == "instance":
            return self._search_instances(query, self._documents)
        return self._counted(query, self._search(query), self._documents)

    def _by_documents(self, query: QidoQuery) -> SearchResult | None:
        """The answer to a sight that wants attributes, where rows of the Lambda's would have to give it."""
        if self._told is None or not self._sight.has_wanted:
            return None
        with reading(self._engine) as connection:
            ours = self._has_ours(connection)
        return self._told(query, ours)

    def _search(self, query: QidoQuery) -> SearchResult:
        with reading(self._engine) as connection:
            return search(connection, self._sources(connection, query), query)

    def _search_instances(self, query: QidoQuery, documents: AwsReader) -> SearchResult:
        """No connection is held while HealthImaging is asked, and the Lambda may write the rows meanwhile:
        then the same instances would come from both, so what lacks rows is looked for again."""
        bare, made, tries = set[BareSeries](), NOTHING_MADE, _TRIES
        while True:
            with reading(self._engine) as connection:
                ours = self._has_ours(connection)
                seen = AwsSight(self._sight_here(connection))
                found = set(self._bare.find(connection, query, ours, seen))
                if found == bare or not tries:
                    return search(connection, self._sources(connection, query, bool(bare)), query, made)
                facts = study_facts(connection, {one.study_uid for one in found}, seen)
            bare, made = found, made_matches(documents, found, facts, query)
            tries -= 1

    def _counted(self, query: QidoQuery, result: SearchResult, documents: AwsReader) -> SearchResult:
        """`result` with the numbers of instances that no table tells, where it is about one study."""
        unknown = {
            row["0020000E"]["Value"][0]: row
            for row in result.rows
            if query.study_uid is not None and query.level == "series" and "Value" not in row["00201209"]
        }
        if query.study_uid is not None and unknown:
            for uid, number in instance_numbers(documents, query.study_uid, unknown).items():
                unknown[uid]["00201209"] = element("IS", [number])
        return result

    def _sources(
        self, connection: Connection, query: QidoQuery, is_partial: bool = False
    ) -> list[SearchTables]:
        """`is_partial`: some of what the search is about is in no table."""
        sight = self._sight_here(connection)
        if not self._can_be_aws:
            return [*searched(connection, query, self._side(connection, query, sight, False))]
        if not self._has_ours(connection):
            return [self._aws(connection, None, sight)]
        number = number_unknown(connection, query)
        side_search = self._side(connection, query, sight, is_partial or number > 0)
        ours = searched(connection, query, side_search)
        if not number:
            return [*ours]
        return [*ours, self._aws(connection, unknown_rows(query, number, sight), sight)]

    def _side(self, connection: Connection, query: QidoQuery, sight: Sight, beside: bool) -> SideSearch:
        counts = query.level == "instance" or not sight.is_everything
        doubled = counts and has_variants(connection, "instance")
        return SideSearch(sight, beside, is_rare(connection, query, sight), doubled)

    def _has_ours(self, connection: Connection) -> bool:
        """Whether our side tables are there and hold anything; once they do, they are not asked again."""
        if not self._ours:
            try:
                self._ours = has_ours(connection)
            except DBAPIError as error:
                if not lacks_table(error):
                    raise
        return self._ours

    def _aws(self, connection: Connection, unknown: UnknownRows | None, sight: Sight) -> AwsSearch:
        return AwsSearch(lambda: self._names.are_indexed(connection), unknown, sight)

    def _sight_here(self, connection: Connection) -> Sight:
        """The sight without its data stores where the index holds no others: they cost nothing then."""
        stores = self._sight.stores
        if stores is None or any(grant.stores != stores for grant in self._sight.grants):
            return self._sight
        for others in _others(stores, self._can_be_aws):
            try:
                if connection.execute(others).scalar_one():
                    return self._sight
            except DBAPIError as error:
                if not lacks_table(error):
                    raise
        return Sight(tuple(Grant(None, grant.wanted) for grant in self._sight.grants))


def _others(stores: frozenset[str], can_be_aws: bool) -> list[Select[Any]]:
    """How many image sets of other data stores there are, not counted beyond one, of each family."""
    columns = [side.gateway_imageset.c.datastoreid, aws.imageset.c.datastoreid]
    return [
        select(func.count()).select_from(select(one).where(one.not_in(sorted(stores))).limit(1).subquery())
        for one in (columns if can_be_aws else columns[:1])
    ]


class NameCollation:
    """Whether PatientName can be looked for by its index: asked of the database now and then.

    Any number of threads may ask. A fact that is older than `seconds` is believed once more while a thread
    of its own asks again: that takes as long as reading all names. Where nobody asked for STALE times as
    long it is asked for at once.
    """

    STALE = 6

    def __init__(self, engine: Engine, seconds: float) -> None:
        self._engine = engine
        self._seconds = seconds
        self._lock = threading.Lock()
        self._known: bool | None = None
        self._asked_at = float("-inf")
        self._is_asking = False

    def are_indexed(self, connection: Connection) -> bool:
        """Whether no name has a second component group, and the collation of names knows no case."""
        with self._lock:
            age = time.monotonic() - self._asked_at
            if self._known is None or age > self.STALE * self._seconds:
                self._learn(connection)
            elif age > self._seconds and not self._is_asking:
                self._is_asking = True
                threading.Thread(target=self._ask_again, name="names", daemon=True).start()
            return bool(self._known)

    def _ask_again(self) -> None:
        try:
            with reading(self._engine) as connection:
                self._learn(connection)
        except IndexUnavailable as error:
            # what is known gets stale, and the next search that needs it learns why
            _LOG.warning("names could not be looked through: %s", error)
        finally:
            self._is_asking = False

    def _learn(self, connection: Connection) -> None:
        self._known = _knows_no_case(connection) and not _has_groups(connection)
        self._asked_at = time.monotonic()


def _knows_no_case(connection: Connection) -> bool:
    query = text(
        "SELECT collation_name FROM information_schema.columns WHERE table_schema = DATABASE() "
        "AND table_name = 'patient' AND column_name = 'patientname'"
    )
    return str(connection.execute(query).scalar() or "").lower().endswith("_ci")


def _has_groups(connection: Connection) -> bool:
    name = aws.patient.c.patientname
    return connection.execute(select(name).where(has_groups(name)).limit(1)).first() is not None
