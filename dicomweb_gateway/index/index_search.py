"""Searching whatever tables the database has: ours, those of the AWS project, or both beside each other."""

import copy
import logging
import threading
import time

from sqlalchemy import Connection, Engine, select, text
from sqlalchemy.exc import DBAPIError

from dicomweb_gateway.dicom.json_model import element
from dicomweb_gateway.errors import IndexUnavailable
from dicomweb_gateway.index import tables as aws
from dicomweb_gateway.index.aws_columns import has_groups
from dicomweb_gateway.index.aws_reader import AwsReader
from dicomweb_gateway.index.aws_search import AwsSearch
from dicomweb_gateway.index.bare_series import BareSeries, BareSeriesFinder, scope_keys
from dicomweb_gateway.index.document_index import DocumentIndex
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
from dicomweb_gateway.index.whole import Served, sight_here
from dicomweb_gateway.qido.expression import QidoQuery
from dicomweb_gateway.sight import EVERYTHING, Sight

_LOG = logging.getLogger(__name__)

MOST_STUDIES = 100
"""Studies that a search may name to be answered by documents of the image sets of each."""

_ANY = QidoQuery("study")

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

    To a sight that hides something documents tell what the Lambda alone wrote (`document_search.py`, whose
    refusals come through), and without a source nothing.
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
        self._served = Served(sight)
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
        bound._documents = None if self._documents is None else self._documents.seen_by(sight)
        bound._told = None if self._told is None else self._told.seen_by(sight)
        return bound

    def __call__(self, query: QidoQuery) -> SearchResult:
        """All that matches `query`, one page of it; see `search.search`. Raises IndexUnavailable too."""
        if not self._can_be_aws:
            return self._of_ours(query)
        if self._served.is_all_for(self._sight):
            try:
                return self._by_rows(query)
            except _OthersHeld:
                pass
        return self._by_documents(query)

    def _by_documents(self, query: QidoQuery) -> SearchResult:
        """The answer of our tables, and of documents for what they do not know."""
        with reading(self._engine) as connection:
            ours = self._has_ours(connection)
            # of image sets too: the Lambda may have written no instances of one
            is_all_known = ours and not number_unknown(connection, _ANY)
        if is_all_known:
            return self._of_ours(query)
        if self._told is None:
            return self._of_ours(query) if ours else SearchResult([], 0, 0, ())
        studies = studies_named(query)
        if studies is not None:
            told = self._told.of_studies(studies, query.zone, ours)
        else:
            told = self._told.of_unread(query.zone, ours)
        if told is None:
            return self._of_ours(query)
        return self._of_ours(query, told) if ours else told.search(query)

    def _of_ours(self, query: QidoQuery, told: DocumentIndex | None = None) -> SearchResult:
        """By our tables, and what is `told` of studies that they do not know whole."""
        made = NOTHING_MADE if told is None else told.matches(query)
        without = frozenset[str]() if told is None else told.studies
        with reading(self._engine) as connection:
            sight = sight_here(connection, self._sight, self._can_be_aws)
            tables = self._side(connection, query, sight, without=without)
            return search(connection, searched(connection, query, tables), query, made)

    def _by_rows(self, query: QidoQuery) -> SearchResult:
        if self._documents is None:
            with reading(self._engine) as connection:
                return search(connection, self._sources(connection, query), query)
        if query.level == "instance":
            return self._search_instances(query, self._documents)
        with reading(self._engine) as connection:
            result = search(connection, self._sources(connection, query), query)
        return self._counted(query, result, self._documents)

    def _search_instances(self, query: QidoQuery, documents: AwsReader) -> SearchResult:
        """No connection is held while HealthImaging is asked, and the Lambda may write the rows meanwhile:
        then the same instances would come from both, so what lacks rows is looked for again."""
        bare, made, tries = set[BareSeries](), NOTHING_MADE, _TRIES
        while True:
            with reading(self._engine) as connection:
                sources = self._sources(connection, query, bool(bare))
                found = set(self._bare.find(connection, query, self._has_ours(connection)))
                if found == bare or not tries:
                    return search(connection, sources, query, made)
                facts = study_facts(connection, {one.study_uid for one in found})
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
        """Ours and the rows of the Lambda's that ours do not know, for who sees all that the index holds.

        `is_partial`: some of what the search is about is in no table. Raises _OthersHeld.
        """
        if not self._served.rows_tell(connection, self._sight):
            raise _OthersHeld
        if not self._has_ours(connection):
            return [self._aws(connection, None)]
        number = number_unknown(connection, query)
        side_search = self._side(connection, query, EVERYTHING, is_partial or number > 0)
        ours = searched(connection, query, side_search)
        if not number:
            return [*ours]
        return [*ours, self._aws(connection, unknown_rows(query, number))]

    def _side(
        self,
        connection: Connection,
        query: QidoQuery,
        sight: Sight,
        beside: bool = False,
        without: frozenset[str] = frozenset(),
    ) -> SideSearch:
        counts = query.level == "instance" or not sight.is_everything
        doubled = counts and has_variants(connection, "instance")
        return SideSearch(sight, beside, is_rare(connection, query, sight), doubled, without)

    def _has_ours(self, connection: Connection) -> bool:
        """Whether our side tables are there and hold anything; once they do, they are not asked again."""
        if not self._ours:
            try:
                self._ours = has_ours(connection)
            except DBAPIError as error:
                if not lacks_table(error):
                    raise
        return self._ours

    def _aws(self, connection: Connection, unknown: UnknownRows | None) -> AwsSearch:
        return AwsSearch(lambda: self._names.are_indexed(connection), unknown)


class _OthersHeld(Exception):
    """The index holds more than the sight shows, of data stores that the gateway does not serve."""


def studies_named(query: QidoQuery) -> set[str] | None:
    """The studies that a search names, None where it names none or too many."""
    if query.study_uid is not None:
        return {query.study_uid}
    keys = [set(one.values) for one in scope_keys(query) if one.attribute.keyword == "StudyInstanceUID"]
    studies = set.intersection(*keys) if keys else None
    return None if studies is None or len(studies) > MOST_STUDIES else studies


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
