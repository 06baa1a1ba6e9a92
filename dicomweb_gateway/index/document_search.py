"""What the AWS Lambda alone wrote, for whoever does not see everything: documents judge and tell.

The Lambda's rows lead to image sets and are asked nothing else (`whole.py`). What their documents show makes
a small index for the search (`document_index.py`); what is hidden never gets into it, and nothing is counted
but what is shown. Only how long that takes can depend on what is hidden.
"""

import copy
from collections.abc import Collection, Container, Iterable
from datetime import datetime, tzinfo
from threading import Semaphore
from typing import NamedTuple

from sqlalchemy import Connection, Engine

from dicomweb_gateway import patience
from dicomweb_gateway.errors import (
    GatewayBusy,
    InvalidRequest,
    PayloadTooLarge,
    RequestError,
    UpstreamNotFound,
)
from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index.aws_image_sets import identity, sets_of_studies, unknown_sets
from dicomweb_gateway.index.aws_reader import AwsReader
from dicomweb_gateway.index.document_index import DocumentIndex
from dicomweb_gateway.index.engine import reading
from dicomweb_gateway.index.hot import HotMap
from dicomweb_gateway.index.image_set_rows import StoredSet, sets_of_study
from dicomweb_gateway.index.latest_sets import Found
from dicomweb_gateway.index.shown import Stores
from dicomweb_gateway.index.unread import UNREAD
from dicomweb_gateway.sight import Sight

MOST_LISTED = 200
"""Shown image sets that `index sync` has not read up to which a search that names no study reads them.

Above it is refused: without them its list would look like a whole one.
"""

MOST_LISTED_INSTANCES = 10_000
"""Instances in these; each takes half a millisecond whenever another image set comes."""

MOST_INSTANCES = 30_000
"""Instances that may be seen of the studies that one search names."""

_KEPT_SECONDS = 600.0
_KEPT_BYTES = 128 << 20
"""A version of an image set never changes, so what was made of some is kept for the next searches."""

_MADE_AT_ONCE = 2
_PATIENCE = 30.0
"""Seconds that a search waits for its turn: what is being made is not counted among what is kept."""


class DocumentSearch:
    """Makes small indexes of documents; UpstreamError comes through, except of image sets that are gone.

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

    def of_studies(self, studies: Collection[str], zone: tzinfo, ours: bool) -> DocumentIndex | None:
        """Those of `studies`, each as a whole, in which an image set is shown that our tables do not know.

        So too where they know an older version of one, whatever the newer one shows. None where there is no
        such study, and our tables, if `ours` are there, know everything. PayloadTooLarge above
        MOST_INSTANCES; GatewayBusy where too many searches read documents at once.
        """
        stores = self._documents.sight.stores
        with reading(self._engine) as connection:
            unknown = unknown_sets(connection, sets_of_studies(connection, studies, stores))
            known = _sets(connection, studies) if ours and unknown else []
        named = _Most(MOST_INSTANCES, PayloadTooLarge(f"too many instances in these studies: {UNREAD}"))
        if not ours:
            return self._of_sets(self._documents.sets.ranked(unknown), studies, zone, named)
        shown = self._documents.unread.shown_among(unknown, self._documents.sight)
        new = [(found, study) for found, study in shown if study in studies]
        others = set(map(identity, unknown))
        told = {study for _, study in new} | {one.study_uid for one in known if identity(one.ref) in others}
        if not told:
            return None
        found = [*_found(known, told, stores, others), *(one for one, _ in new)]
        return self._of_sets(found, told, zone, named)

    def of_unread(self, zone: tzinfo, ours: bool) -> DocumentIndex | None:
        """The studies, each as a whole, in which an image set is shown that our tables do not know.

        None where there is none, and our tables, if `ours` are there, know everything. InvalidRequest where
        these are too many for one search, GatewayBusy where it takes too long to find them, and as above.
        """
        stores = self._documents.sight.stores
        new: list[tuple[Found, str]] = []
        for one in self._documents.unread.shown(self._documents.sight):
            new.append(one)
            if len(new) > MOST_LISTED:
                raise _too_many()
        if ours and not new:
            return None
        studies = {study for _, study in new}
        with reading(self._engine) as connection:
            known = _sets(connection, studies) if ours else []
        others = {identity(one.ref) for one, _ in new}
        listed = _Most(MOST_LISTED_INSTANCES, _too_many())
        found = [*_found(known, studies, stores, others), *(one for one, _ in new)]
        return self._of_sets(found, studies, zone, listed)

    def _of_sets(
        self, found: list[Found], studies: Collection[str], zone: tzinfo, most: "_Most"
    ) -> DocumentIndex:
        found = sorted(found, key=lambda one: one.rank, reverse=True)
        if not all(one.ref.version_id for one in found):
            return self._made(found, studies, zone, most)
        key = (self._documents.sight.digest, tuple(found), frozenset(studies), zone)
        return self._kept.get(key, lambda: self._made(found, studies, zone, most))

    def _made(
        self, found: Iterable[Found], studies: Collection[str], zone: tzinfo, most: "_Most"
    ) -> DocumentIndex:
        if not patience.acquire(self._turns, patience.until(_PATIENCE)):
            raise GatewayBusy("too many searches read documents at once")
        try:
            return self._filled(found, studies, zone, most)
        finally:
            self._turns.release()

    def _filled(
        self, found: Iterable[Found], studies: Collection[str], zone: tzinfo, most: "_Most"
    ) -> DocumentIndex:
        made = DocumentIndex(self._documents.sight, zone, studies)
        for one in found:
            try:
                document = self._documents.sets.document(one.ref)
            except UpstreamNotFound:
                continue
            if document.study_uid in studies:
                made.put(one.ref, document, *one.rank)
            if made.instances > most.instances:
                raise most.error
        return made


def _too_many() -> InvalidRequest:
    return InvalidRequest(f"name a study (StudyInstanceUID): {UNREAD}")


class _Most(NamedTuple):
    """Instances that one search may read, and what is said above it."""

    instances: int
    error: RequestError


def _sets(connection: Connection, studies: Collection[str]) -> list[StoredSet]:
    """The image sets of studies that our tables hold."""
    return [one for uid in studies for one in sets_of_study(connection, uid).values()]


def _found(
    sets: list[StoredSet], studies: Collection[str], stores: Stores, others: Container[tuple[str, str]]
) -> list[Found]:
    """Those of `sets` in studies and data stores, at the versions that our tables have; without `others`."""
    return [
        Found(one.ref, (bool(one.is_primary), one.updated_at or datetime.min))
        for one in sets
        if one.study_uid in studies
        and one.state == side.ACTIVE
        and (stores is None or one.datastoreid in stores)
        and identity(one.ref) not in others
    ]
