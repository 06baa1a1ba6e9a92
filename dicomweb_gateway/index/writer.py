"""The index as those see it who fill it: one value instead of an engine and a dozen functions."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, tzinfo
from typing import Any

from sqlalchemy import Engine

from dicomweb_gateway.imagesets.metadata import ImageSetDocument
from dicomweb_gateway.imagesets.store import ImageSetRef
from dicomweb_gateway.index import known, ledger
from dicomweb_gateway.index.engine import make_engine, reading
from dicomweb_gateway.index.image_set_rows import find_set
from dicomweb_gateway.index.indexer import IndexedImageSet, index_image_set, remove_image_set
from dicomweb_gateway.index.mains import totals
from dicomweb_gateway.index.seen import look_on
from dicomweb_gateway.index.side_tables import ACTIVE
from dicomweb_gateway.index.status import index_status

POOL_SIZE = 8
"""Connections; as many image sets are written at once."""


class IndexWriter:
    """Writes the index at a database URL, from any thread.

    `zone` is the time zone of moments in data that names none (dicomweb.md Q-20). Every method raises
    IndexUnavailable when the database does not answer.
    """

    def __init__(self, url: str, zone: tzinfo = UTC) -> None:
        self._zone = zone
        self._engine: Engine = make_engine(url, pool_size=POOL_SIZE)
        one_at_a_time = self._engine.dialect.name == "sqlite"
        # SQLite has one writer: its own threads need not poll for the file's lock
        self._lock: AbstractContextManager[Any] = threading.Lock() if one_at_a_time else nullcontext()

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def known(self, datastore_id: str) -> dict[str, int]:
        """Image set id to indexed version, stale ones left out."""
        return known.known_image_sets(self._engine, datastore_id)

    def version(self, ref: ImageSetRef) -> int | None:
        """The indexed version of an image set, None when it is not indexed or stale."""
        with reading(self._engine) as connection:
            found = find_set(connection, ref.datastore_id, ref.image_set_id)
        return found.version if found is not None and found.state == ACTIVE else None

    def data_store_ids(self) -> list[str]:
        """The data stores that the index holds image sets of."""
        return known.data_store_ids(self._engine)

    def put(
        self,
        document: ImageSetDocument,
        *,
        version: int,
        is_primary: bool | None,
        updated_at: datetime | None,
    ) -> IndexedImageSet:
        """Index one image set; see `indexer.index_image_set`."""
        with self._lock:
            return index_image_set(
                self._engine,
                document,
                version=version,
                is_primary=is_primary,
                updated_at=updated_at,
                zone=self._zone,
            )

    def remove(self, ref: ImageSetRef) -> list[ImageSetRef]:
        """Take one image set out; the image sets to index again."""
        with self._lock:
            return remove_image_set(self._engine, ref.datastore_id, ref.image_set_id)

    def look_on(self) -> bool:
        """Look through what the AWS Lambda wrote; see `seen.look_on`."""
        return look_on(self._engine)

    def written_by_lambda(self, datastore_id: str) -> Iterator[str]:
        """Ids of image sets that have rows of the AWS Lambda and none of ours."""
        return known.written_by_lambda(self._engine, datastore_id)

    def note_failure(self, ref: ImageSetRef, reason: str) -> None:
        """Remember that an image set could not be indexed; indexing or removing it forgets that."""
        with self._lock:
            ledger.note_failure(self._engine, ref, reason)

    def failures(self) -> list[ledger.Failure]:
        """Image sets that could not be indexed, the longest waiting first."""
        return ledger.failures(self._engine)

    def sync_started(self, datastore_id: str) -> None:
        """Note that a synchronisation begins."""
        with self._lock:
            ledger.sync_started(self._engine, datastore_id)

    def sync_completed(self, datastore_id: str, numbers: dict[str, int]) -> None:
        """Note that it ended, with its figures."""
        with self._lock:
            ledger.sync_completed(self._engine, datastore_id, numbers)

    def sync_runs(self) -> list[ledger.SyncRun]:
        """The last synchronisation of every data store."""
        return ledger.sync_runs(self._engine)

    def counts(self) -> dict[str, int]:
        """Numbers of `studies`, `series` and `instances`."""
        with reading(self._engine) as connection:
            return totals(connection)

    def status(self) -> dict[str, Any]:
        """What `index status` tells; see `status.index_status`."""
        return index_status(self._engine)
