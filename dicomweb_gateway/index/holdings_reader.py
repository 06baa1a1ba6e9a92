"""Lookups of image sets and data stores as wholes: what is there, and may go out undivided."""

from collections.abc import Callable, Collection
from typing import TypeVar

from sqlalchemy import Connection, Engine, select

from dicomweb_gateway.errors import IndexUnavailable, ResourceNotFound
from dicomweb_gateway.imagesets.metadata import ImageSetDocument
from dicomweb_gateway.index import known_stores, mains
from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index.aws_numbers import aws_totals
from dicomweb_gateway.index.aws_reader import AwsReader
from dicomweb_gateway.index.engine import lacks_table, reading
from dicomweb_gateway.index.holdings import indexed_versions, whole_sets
from dicomweb_gateway.index.tables import imageset
from dicomweb_gateway.index.traits import shows_document
from dicomweb_gateway.sight import Sight

_SET = side.gateway_imageset
Answer = TypeVar("Answer")


class HoldingsReader:
    """Reads our side tables and, where there is an `aws` reader, also what only the AWS Lambda wrote.

    Both as far as `sight` shows it; every method raises IndexUnavailable when the database does not answer.
    """

    def __init__(self, engine: Engine, aws: AwsReader | None, sight: Sight) -> None:
        self._engine = engine
        self._aws = aws
        self._sight = sight

    @property
    def sight(self) -> Sight:
        """What this reader sees."""
        return self._sight

    def image_set_shown(self, datastore_id: str, image_set_id: str) -> None:
        """ResourceNotFound unless an image set is known and may go out as a whole: all its series are seen.

        What it held when it was indexed decides; of a document at hand ask `sees_document` too.
        """
        if not self.image_sets_shown(datastore_id, [image_set_id]):
            raise ResourceNotFound(f"the index does not know image set {image_set_id}")

    def image_sets_shown(self, datastore_id: str, image_set_ids: Collection[str]) -> set[str]:
        """Those of some image sets of a data store of which the same is true."""
        known = self._side(lambda one: whole_sets(one, datastore_id, image_set_ids, self._sight)) or {}
        shown = {uid for uid, is_shown in known.items() if is_shown}
        others = [uid for uid in image_set_ids if uid not in known]
        if self._aws is None or len(shown) == len(set(image_set_ids)):
            return shown
        # what is hidden costs what is unknown does
        return shown | self._aws.whole_sets(datastore_id, others or [""])

    def judged_versions(self, datastore_id: str, image_set_ids: Collection[str]) -> dict[str, str | None]:
        """By their ids the versions of image sets of a data store by which `image_sets_shown` judges them."""
        known = self._side(lambda one: indexed_versions(one, datastore_id, image_set_ids)) or {}
        others = [uid for uid in image_set_ids if uid not in known]
        more = {} if self._aws is None else self._aws.latest_versions(datastore_id, others)
        return {**known, **more}

    def sees_document(self, document: ImageSetDocument) -> bool:
        """Whether a metadata document may go out as a whole, by what it says itself."""
        return shows_document(self._sight, document)

    def has_store(self, datastore_id: str) -> bool:
        """Whether anything of the data store may be seen and the index holds something of it.

        Where documents must tell, GatewayBusy when that takes too long, and UpstreamError.
        """
        if self._sight.stores is not None and datastore_id not in self._sight.stores:
            return False
        sight = self._sight.within(frozenset((datastore_id,)))
        if self._side(lambda connection: known_stores.side_has_store(connection, datastore_id, sight)):
            return True
        if self._aws is None:
            return False
        if not sight.shows_all_of(datastore_id):
            return any(True for _ in self._aws.unread.shown(sight))
        with reading(self._engine) as connection:
            return known_stores.lambda_has_store(connection, datastore_id)

    def ping(self) -> None:
        """IndexUnavailable unless the database answers and has our tables or, with a source, AWS's."""
        if self._aws is not None:
            with reading(self._engine) as connection:
                connection.execute(select(imageset.c.imageset_pkey).limit(1)).all()
            return
        with reading(self._engine) as connection:
            connection.execute(select(_SET.c.imageset_key).limit(1)).all()

    def counts(self) -> dict[str, int]:
        """Numbers of `studies`, `series` and `instances`; where our tables do not exist by those of AWS.

        These count only for who sees everything.
        """
        found = self._side(lambda connection: mains.totals(connection, self._sight))
        if found is None and self._sight.is_everything:
            with reading(self._engine) as connection:
                return aws_totals(connection)
        return found or {"studies": 0, "series": 0, "instances": 0}

    def _side(self, read: Callable[[Connection], Answer]) -> Answer | None:
        """What `read` finds in our side tables; None where there are none and AWS's will do."""
        try:
            with reading(self._engine) as connection:
                return read(connection)
        except IndexUnavailable as error:
            if self._aws is None or not lacks_table(error.__cause__):
                raise
            return None
