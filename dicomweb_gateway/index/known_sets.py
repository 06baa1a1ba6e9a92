"""Which image sets and data stores the index knows, for HealthImaging's own addresses (7.2)."""

from collections.abc import Collection

from sqlalchemy import Connection, select

from dicomweb_gateway.imagesets.store import ImageSetRef
from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index.allowed import AllowedStores, is_allowed
from dicomweb_gateway.index.tables import imageset

_SET = side.gateway_imageset


def side_sets(
    connection: Connection, datastore_id: str, image_set_ids: Collection[str], allowed: AllowedStores
) -> dict[str, ImageSetRef]:
    """Those of the image sets that our side tables know and HealthImaging has, at their indexed versions."""
    if not image_set_ids or not is_allowed(datastore_id, allowed):
        return {}
    query = select(_SET.c.imagesetid, _SET.c.version).where(
        _SET.c.datastoreid == datastore_id,
        _SET.c.imagesetid.in_(sorted(image_set_ids)),
        _SET.c.state == side.ACTIVE,
    )
    return {
        row.imagesetid: ImageSetRef(datastore_id, row.imagesetid, str(row.version))
        for row in connection.execute(query)
    }


def lambda_sets(
    connection: Connection, datastore_id: str, image_set_ids: Collection[str], allowed: AllowedStores
) -> dict[str, ImageSetRef]:
    """Those of the image sets that the AWS Lambda noted, without a version."""
    if not image_set_ids or not is_allowed(datastore_id, allowed):
        return {}
    query = select(imageset.c.imagesetid).where(
        imageset.c.datastoreid == datastore_id, imageset.c.imagesetid.in_(sorted(image_set_ids))
    )
    return {found: ImageSetRef(datastore_id, found) for found in connection.execute(query).scalars()}


def side_has_store(connection: Connection, datastore_id: str) -> bool:
    """Whether our side tables know an image set of the data store."""
    query = select(_SET.c.imageset_key).where(_SET.c.datastoreid == datastore_id).limit(1)
    return connection.execute(query).first() is not None


def lambda_has_store(connection: Connection, datastore_id: str) -> bool:
    """Whether the AWS Lambda noted an image set of the data store."""
    query = select(imageset.c.imageset_pkey).where(imageset.c.datastoreid == datastore_id).limit(1)
    return connection.execute(query).first() is not None
