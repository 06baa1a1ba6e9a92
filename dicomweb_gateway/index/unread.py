"""Image sets that only the AWS Lambda has indexed, as far as a sight shows something of them."""

import math
import time
from collections.abc import Iterator

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import DBAPIError

from dicomweb_gateway import patience
from dicomweb_gateway.errors import GatewayBusy, UpstreamNotFound
from dicomweb_gateway.imagesets.store import ImageSetRef
from dicomweb_gateway.index import tables as aws
from dicomweb_gateway.index.engine import lacks_table, reading
from dicomweb_gateway.index.hot import HotMap
from dicomweb_gateway.index.latest_sets import Found, LatestSets
from dicomweb_gateway.index.shown import Stores, in_stores
from dicomweb_gateway.index.traits import traits_of_document
from dicomweb_gateway.index.unknown_rows import unread_sets
from dicomweb_gateway.sight import Sight

UNREAD = "`index sync` has not read all image sets that the AWS Lambda has indexed"

_MOST_LOOKED_AT = 10_000
"""Image sets whose documents may be read to find those that are shown."""

_LOOKING = 20.0
"""Seconds that it may take. What was read is at hand for a while, so that the next who looks gets further."""

_KEPT_SECONDS = 600.0
_KEPT_STUDIES = 100_000
"""Image sets of which the study is kept that a sight sees in them, some 200 bytes each."""


class UnreadSets:
    """Finds them by their documents; any number of threads may look, for any sights.

    UpstreamError comes through, except of image sets that are gone; IndexUnavailable.
    """

    def __init__(self, engine: Engine, sets: LatestSets) -> None:
        self._engine = engine
        self._sets = sets
        self._studies: HotMap[str] = HotMap(_KEPT_SECONDS, _KEPT_STUDIES, lambda _: 1)

    def shown(self, sight: Sight) -> Iterator[tuple[Found, str]]:
        """Those of which the sight shows something, in no order, and the UIDs of their studies.

        GatewayBusy where it takes too long to look at all.
        """
        deadline = patience.until(_LOOKING)
        with reading(self._engine) as connection:
            refs = _all_unread(connection, sight.stores)
        yield from self.shown_among(refs[:_MOST_LOOKED_AT], sight, deadline)
        if len(refs) > _MOST_LOOKED_AT:
            raise GatewayBusy(f"{UNREAD}: name a study")

    def shown_among(
        self, refs: list[ImageSetRef], sight: Sight, deadline: float | None = None
    ) -> Iterator[tuple[Found, str]]:
        """The same among some image sets, until `deadline` (time.monotonic), None: that of the request."""
        deadline = patience.until(math.inf) if deadline is None else deadline
        for ref in refs:
            if time.monotonic() > deadline:
                raise GatewayBusy(f"{UNREAD}: name a study, or ask again")
            found = self._sets.find(ref)
            study = self._study_seen(sight, found.ref) if found is not None else ""
            if found is not None and study:
                yield found, study

    def _study_seen(self, sight: Sight, ref: ImageSetRef) -> str:
        """The study of an image set of which the sight shows something, else nothing."""
        if not ref.version_id:
            # GetImageSet is denied: the latest version may be of somebody else in a moment
            return self._look_into(sight, ref)
        return self._studies.get((sight.digest, ref), lambda: self._look_into(sight, ref))

    def _look_into(self, sight: Sight, ref: ImageSetRef) -> str:
        try:
            document = self._sets.document(ref)
        except UpstreamNotFound:
            return ""
        store = document.datastore_id
        shows = any(sight.shows(store, traits_of_document(one)) for one in document.series())
        return document.study_uid if shows else ""


def _all_unread(connection: Connection, stores: Stores) -> list[ImageSetRef]:
    """Image sets of data stores that our tables do not know, one more than may be looked at at most."""
    try:
        return unread_sets(connection, stores, _MOST_LOOKED_AT + 1)
    except DBAPIError as error:
        if not lacks_table(error):
            raise
    table = aws.imageset
    query = select(table.c.datastoreid, table.c.imagesetid).where(in_stores(table.c.datastoreid, stores))
    return [ImageSetRef(*row) for row in connection.execute(query.limit(_MOST_LOOKED_AT + 1))]
