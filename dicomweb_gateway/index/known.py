"""What the index holds of which image set, for keeping it in step with HealthImaging."""

from collections.abc import Iterator

from sqlalchemy import Engine, func, select

from dicomweb_gateway.errors import IndexUnavailable
from dicomweb_gateway.index import mains
from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index.aws_numbers import aws_totals
from dicomweb_gateway.index.engine import lacks_table, make_engine, reading
from dicomweb_gateway.index.seen_tables import IMAGE_SET
from dicomweb_gateway.index.tables import imageset
from dicomweb_gateway.index.unknown_rows import UNKNOWN_OF, number_of_unknown_sets
from dicomweb_gateway.index.whole import sight_here
from dicomweb_gateway.sight import EVERYTHING

_TABLE = side.gateway_imageset
_PORTION = 1000


def known_image_sets(engine: Engine, datastore_id: str) -> dict[str, int]:
    """Image set id to indexed version of one data store, without stale ones: they are to be indexed again."""
    query = select(_TABLE.c.imagesetid, _TABLE.c.version).where(
        _TABLE.c.datastoreid == datastore_id, _TABLE.c.state == side.ACTIVE
    )
    with reading(engine) as connection:
        return {row.imagesetid: row.version for row in connection.execute(query)}


def data_store_ids(engine: Engine) -> list[str]:
    """The data stores that the index holds image sets of, in order."""
    query = select(_TABLE.c.datastoreid).distinct().order_by(_TABLE.c.datastoreid)
    with reading(engine) as connection:
        return list(connection.execute(query).scalars())


def written_by_lambda(engine: Engine, datastore_id: str) -> Iterator[str]:
    """Ids of the image sets of a data store that the AWS Lambda noted and our indexer does not know."""
    last = 0
    while True:
        query = (
            select(imageset.c.imageset_pkey, imageset.c.imagesetid)
            .where(imageset.c.imageset_pkey > last, imageset.c.datastoreid == datastore_id)
            .where(UNKNOWN_OF[IMAGE_SET])
            .order_by(imageset.c.imageset_pkey)
            .limit(_PORTION)
        )
        with reading(engine) as connection:
            rows = connection.execute(query).all()
        yield from (row.imagesetid for row in rows)
        if len(rows) < _PORTION:
            return
        last = rows[-1].imageset_pkey


def only_by_lambda(url: str) -> int:
    """How many image sets of the index at `url` the AWS Lambda alone has indexed; raises IndexUnavailable."""
    engine = make_engine(url, pool_size=1)
    try:
        with reading(engine) as connection:
            return number_of_unknown_sets(connection)
    except IndexUnavailable as error:
        if not lacks_table(error.__cause__):
            raise
        with reading(engine) as connection:
            return int(connection.execute(select(func.count()).select_from(imageset)).scalar_one())
    finally:
        engine.dispose()


def holds_others(url: str, stores: frozenset[str]) -> bool:
    """Whether the index at `url` holds image sets of other data stores; raises IndexUnavailable."""
    engine = make_engine(url, pool_size=1)
    try:
        with reading(engine) as connection:
            return not sight_here(connection, EVERYTHING.within(stores)).is_everything
    finally:
        engine.dispose()


def index_counts(url: str) -> dict[str, int]:
    """Numbers of `studies`, `series` and `instances` in the index at `url`, by the AWS tables without ours.

    Raises IndexUnavailable.
    """
    engine = make_engine(url, pool_size=1)
    try:
        with reading(engine) as connection:
            return mains.totals(connection)
    except IndexUnavailable as error:
        if not lacks_table(error.__cause__):
            raise
        with reading(engine) as connection:
            return aws_totals(connection)
    finally:
        engine.dispose()
