"""Searches of what the AWS Lambda alone wrote, for sights that want attributes: documents judge and tell.

Two patients under one Study Instance UID share the Lambda's row, and so do image sets of which one is hidden.
So no such row is asked what it says for these sights: it leads from a study's UID to image sets, and what
their documents show makes a small index for the search (`document_index.py`). What is hidden never gets into
it. What a search names decides whether that is done, so hidden things cannot, but for `MOST_LISTED`.
"""

import copy
from collections.abc import Iterable
from datetime import datetime
from threading import Semaphore
from typing import NamedTuple

from sqlalchemy import Connection, Engine, select

from dicomweb_gateway import patience
from dicomweb_gateway.errors import GatewayBusy, InvalidRequest, PayloadTooLarge, UpstreamNotFound
from dicomweb_gateway.imagesets.store import ImageSetRef
from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index import tables as aws
from dicomweb_gateway.index.aws_image_sets import identity, sets_of_studies, unknown_sets
from dicomweb_gateway.index.aws_reader import AwsReader
from dicomweb_gateway.index.bare_series import scope_keys
from dicomweb_gateway.index.document_index import DocumentIndex
from dicomweb_gateway.index.engine import reading
from dicomweb_gateway.index.hot import HotMap
from dicomweb_gateway.index.image_set_rows import sets_of_study
from dicomweb_gateway.index.latest_sets import Found
from dicomweb_gateway.index.search import SearchResult
from dicomweb_gateway.index.shown import Stores, in_stores
from dicomweb_gateway.qido.expression import QidoQuery
from dicomweb_gateway.sight import Sight

MOST_STUDIES = 100
"""Studies that a search may name to be answered by documents of the image sets of each."""

MOST_LISTED = 100
"""Image sets in the data stores of a sight up to which a search that names no study reads all documents.

Only where the Lambda alone has filled the index; above it such a search is refused.
"""

MOST_INSTANCES = 30_000
"""Instances that may be seen of the studies of one search; each takes half a millisecond, the first time."""

_KEPT_SECONDS = 600.0
_KEPT_BYTES = 128 << 20
"""A version of an image set never changes, so what was made of some is kept for the next searches."""

_MADE_AT_ONCE = 2
_PATIENCE = 30.0
"""Seconds that a search waits for its turn: what is being made is not counted among what is kept."""


class _Named(NamedTuple):
    """Image sets for a search: `known` at the versions that our tables have, `unknown` at their latest."""

    known: list[Found]
    unknown: list[ImageSetRef]


class DocumentSearch:
    """Answers by documents; UpstreamError comes through, except of image sets that are gone.

    `documents` is bound to the sight that is searched for, and `seen_by` makes one for another.
    """

    def __init__(self, engine: Engine, documents: AwsReader, most_bytes: int = _KEPT_BYTES) -> None:
        self._engine = engine
        self._documents = documents
        self._kept: HotMap[DocumentIndex] = HotMap(_KEPT_SECONDS, most_bytes, lambda made: made.size)
        self._turns = Semaphore(_MADE_AT_ONCE)

    def seen_by(self, sight: Sight) -> "DocumentSearch":
        """The same for what `sight` leaves of it; what is kept is shared."""
        bound = copy.copy(self)
        bound._documents = self._documents.seen_by(sight)
        return bound

    def __call__(self, query: QidoQuery, ours: bool) -> SearchResult | None:
        """The answer; None where our tables, if `ours` are there, are to give it.

        They give it where the Lambda wrote nothing that they do not know of the studies that the search
        names, and where it names none: what `index sync` has not read is not there yet then. InvalidRequest
        for such a search where the Lambda alone has filled a large index, GatewayBusy where too many others
        are being answered.
        """
        studies = _studies_of(query)
        with reading(self._engine) as connection:
            named = _named(connection, studies, self._documents.sight.stores, ours)
        if named is None:
            return None
        latest = self._documents.sets.ranked(named.unknown)
        found = sorted([*named.known, *latest], key=lambda one: one.rank, reverse=True)
        if not all(one.ref.version_id for one in found):
            # GetImageSet is denied: the latest version may be of somebody else in a moment
            return self._made(found, studies, query).search(query)
        key = (self._documents.sight.digest, tuple(found), studies and frozenset(studies), query.zone)
        return self._kept.get(key, lambda: self._made(found, studies, query)).search(query)

    def _made(self, found: Iterable[Found], studies: set[str] | None, query: QidoQuery) -> DocumentIndex:
        if not patience.acquire(self._turns, patience.until(_PATIENCE)):
            raise GatewayBusy("too many searches read documents at once")
        try:
            return self._filled(found, studies, query)
        finally:
            self._turns.release()

    def _filled(self, found: Iterable[Found], studies: set[str] | None, query: QidoQuery) -> DocumentIndex:
        made = DocumentIndex(self._documents.sight, query.zone)
        for one in found:
            try:
                document = self._documents.sets.document(one.ref)
            except UpstreamNotFound:
                continue
            if studies is None or document.study_uid in studies:
                made.put(one.ref, document, *one.rank)
            if made.instances > MOST_INSTANCES:
                raise PayloadTooLarge("too many instances that `index sync` has not read")
        return made


def _studies_of(query: QidoQuery) -> set[str] | None:
    """The studies that a search names, None where it names none or too many."""
    if query.study_uid is not None:
        return {query.study_uid}
    keys = [set(one.values) for one in scope_keys(query) if one.attribute.keyword == "StudyInstanceUID"]
    studies = set.intersection(*keys) if keys else None
    return None if studies is None or len(studies) > MOST_STUDIES else studies


def _named(connection: Connection, studies: set[str] | None, stores: Stores, ours: bool) -> _Named | None:
    if studies is None:
        return None if ours else _Named([], _all_sets(connection, stores))
    unknown = unknown_sets(connection, sets_of_studies(connection, studies, stores))
    if not ours:
        return _Named([], unknown)
    if not unknown:
        return None
    newer = set(map(identity, unknown))
    known = [
        one for uid in studies for one in _known(connection, uid, stores) if identity(one.ref) not in newer
    ]
    return _Named(known, unknown)


def _known(connection: Connection, study_uid: str, stores: Stores) -> list[Found]:
    """The image sets of a study that our tables hold."""
    return [
        Found(one.ref, (bool(one.is_primary), one.updated_at or datetime.min))
        for one in sets_of_study(connection, study_uid).values()
        if one.state == side.ACTIVE and (stores is None or one.datastoreid in stores)
    ]


def _all_sets(connection: Connection, stores: Stores) -> list[ImageSetRef]:
    """All image sets that the Lambda noted in some data stores; InvalidRequest above MOST_LISTED."""
    table = aws.imageset
    query = select(table.c.datastoreid, table.c.imagesetid).where(in_stores(table.c.datastoreid, stores))
    found = [ImageSetRef(*row) for row in connection.execute(query.limit(MOST_LISTED + 1))]
    if len(found) > MOST_LISTED:
        raise InvalidRequest(
            "whose rules ask for attributes must name a study (StudyInstanceUID) before `index sync` has "
            "read the index"
        )
    return found
