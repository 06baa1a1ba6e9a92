"""Which data stores the index knows, for HealthImaging's own addresses (7.2)."""

from sqlalchemy import Connection, select

from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index import tables as aws
from dicomweb_gateway.index.shown import series_shown
from dicomweb_gateway.sight import Sight

_SET, _SERIES = side.gateway_imageset, side.gateway_series


def side_has_store(connection: Connection, datastore_id: str, sight: Sight) -> bool:
    """Whether our side tables know an image set of the data store, and one that `sight`, within it, shows."""
    query = select(_SET.c.imageset_key).where(_SET.c.datastoreid == datastore_id)
    if not sight.shows_all_of(datastore_id):
        query = select(_SERIES.c.series_key).where(*series_shown(_SERIES, sight))
    return connection.execute(query.limit(1)).first() is not None


def lambda_has_store(connection: Connection, datastore_id: str) -> bool:
    """Whether the AWS Lambda noted an image set of the data store."""
    query = select(aws.imageset.c.imageset_pkey).where(aws.imageset.c.datastoreid == datastore_id)
    return connection.execute(query.limit(1)).first() is not None
