"""A small index in memory that knows what some metadata documents say, and nothing else.

What was never put into it cannot be told by any answer: neither by words nor by numbers, order or totals.
"""

import weakref
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, tzinfo
from threading import Lock

from sqlalchemy import Connection

from dicomweb_gateway.imagesets.metadata import ImageSetDocument
from dicomweb_gateway.imagesets.store import ImageSetRef
from dicomweb_gateway.index.engine import index_errors, memory_engine, reading
from dicomweb_gateway.index.indexer import index_image_set
from dicomweb_gateway.index.made_matches import MadeMatches
from dicomweb_gateway.index.other_variants import searched
from dicomweb_gateway.index.search import SearchResult, matches_made, search
from dicomweb_gateway.index.side_search import SideSearch
from dicomweb_gateway.index.tables import metadata
from dicomweb_gateway.index.traits import traits_of_document
from dicomweb_gateway.index.variants import has_variants
from dicomweb_gateway.qido.expression import QidoQuery
from dicomweb_gateway.sight import Sight

_EMPTY_BYTES = 1 << 20
"""What the engine and the empty tables take."""


class DocumentIndex:
    """Answers as an index does that `index sync` filled with what `sight` shows of the documents put in.

    `zone`: of moments in data that names none (Q-20). Any number of threads may search, one at a time.
    `size` is about how many bytes of memory it takes, `instances` how many were put in. `studies`: of which
    it is told all, if only that nothing of them is shown.
    """

    def __init__(self, sight: Sight, zone: tzinfo, studies: Collection[str] = ()) -> None:
        self._sight = sight
        self._zone = zone
        self._lock = Lock()
        self._engine = memory_engine()
        weakref.finalize(self, self._engine.dispose)
        self.instances = 0
        self.studies = frozenset(studies)
        self.size = _EMPTY_BYTES
        with index_errors():
            metadata.create_all(self._engine)

    def put(
        self, ref: ImageSetRef, document: ImageSetDocument, is_primary: bool, updated_at: datetime
    ) -> None:
        """Add those series of an image set that the sight shows, by what the document says of them."""
        shown = {
            series.series_uid: document.raw_series[series.series_uid]
            for series in document.series()
            if self._sight.shows(document.datastore_id, traits_of_document(series))
        }
        if not shown or not document.study_uid:
            return
        seen = replace(document, raw_series=shown)
        self.instances += sum(len(series.raw_instances) for series in seen.series())
        index_image_set(
            self._engine,
            seen,
            version=int(ref.version_id or 1),
            is_primary=is_primary,
            updated_at=updated_at,
            zone=self._zone,
        )
        self.size = _EMPTY_BYTES + self._bytes_of_tables()

    def search(self, query: QidoQuery) -> SearchResult:
        """All that matches, one page of it."""
        with self._lock, reading(self._engine) as connection:
            return search(connection, self._sources(connection, query), query)

    def matches(self, query: QidoQuery) -> MadeMatches:
        """The same for a search that finds other studies elsewhere."""
        with self._lock, reading(self._engine) as connection:
            return matches_made(connection, self._sources(connection, query), query)

    def _sources(self, connection: Connection, query: QidoQuery) -> list[SideSearch]:
        # two patients under one UID may both be shown, and give the same instance
        tables = SideSearch(doubled=has_variants(connection, "instance"))
        return searched(connection, query, tables)

    def _bytes_of_tables(self) -> int:
        with reading(self._engine) as connection:
            pages, size = (
                connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
                for name in ("page_count", "page_size")
            )
        return int(pages) * int(size)
