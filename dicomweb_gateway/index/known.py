"""What the index holds of which image set, for keeping it in step with HealthImaging."""

from sqlalchemy import Engine, select

from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index.engine import reading

_TABLE = side.gateway_imageset


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
