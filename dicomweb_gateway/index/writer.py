"""The index as those see it who fill it: one value instead of an engine and four functions."""

from datetime import datetime

from sqlalchemy import Engine

from dicomweb_gateway.imagesets.metadata import ImageSetDocument
from dicomweb_gateway.imagesets.store import ImageSetRef
from dicomweb_gateway.index.engine import make_engine, reading
from dicomweb_gateway.index.indexer import IndexedImageSet, index_image_set, remove_image_set
from dicomweb_gateway.index.known import known_image_sets
from dicomweb_gateway.index.mains import totals


class IndexWriter:
    """Writes the index at a database URL; every method raises IndexUnavailable when it does not answer."""

    def __init__(self, url: str) -> None:
        self._engine: Engine = make_engine(url, pool_size=2)

    def known(self, datastore_id: str) -> dict[str, int]:
        """Image set id to indexed version, stale ones left out."""
        return known_image_sets(self._engine, datastore_id)

    def put(
        self,
        document: ImageSetDocument,
        *,
        version: int,
        is_primary: bool | None,
        updated_at: datetime | None,
    ) -> IndexedImageSet:
        """Index one image set; see `indexer.index_image_set`."""
        return index_image_set(
            self._engine, document, version=version, is_primary=is_primary, updated_at=updated_at
        )

    def remove(self, ref: ImageSetRef) -> list[ImageSetRef]:
        """Take one image set out; the image sets to index again."""
        return remove_image_set(self._engine, ref.datastore_id, ref.image_set_id)

    def counts(self) -> dict[str, int]:
        """Numbers of `studies`, `series` and `instances`."""
        with reading(self._engine) as connection:
            return totals(connection)
