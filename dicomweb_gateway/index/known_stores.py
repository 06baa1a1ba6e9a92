"""Which data stores the index knows, for HealthImaging's own addresses (7.2)."""

from sqlalchemy import Connection, select

from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index.tables import imageset

_SET = side.gateway_imageset


def side_has_store(connection: Connection, datastore_id: str) -> bool:
    """Whether our side tables know an image set of the data store."""
    query = select(_SET.c.imageset_key).where(_SET.c.datastoreid == datastore_id).limit(1)
    return connection.execute(query).first() is not None


def lambda_has_store(connection: Connection, datastore_id: str) -> bool:
    """Whether the AWS Lambda noted an image set of the data store."""
    query = select(imageset.c.imageset_pkey).where(imageset.c.datastoreid == datastore_id).limit(1)
    return connection.execute(query).first() is not None
