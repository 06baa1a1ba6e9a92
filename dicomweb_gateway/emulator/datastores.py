"""Data stores: create, find, list, delete."""

import time
import uuid
from typing import Any

from dicomweb_gateway.emulator.catalogue import Catalogue, Row
from dicomweb_gateway.emulator.errors import Conflict, NotFound

ACTIVE, DELETED = "ACTIVE", "DELETED"


def create_datastore(
    catalogue: Catalogue,
    *,
    name: str | None,
    client_token: str | None,
    storage_format: str,
    kms_key_arn: str | None,
    lambda_authorizer_arn: str | None,
) -> str:
    """The id of a new data store, or of the one that the same client token made before."""
    with catalogue.transaction() as connection:
        if client_token is not None:
            known = connection.execute(
                "SELECT id FROM datastore WHERE client_token = ?", (client_token,)
            ).fetchone()
            if known is not None:
                return str(known["id"])
        datastore_id, now = uuid.uuid4().hex, time.time()
        connection.execute(
            "INSERT INTO datastore VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                datastore_id,
                name,
                ACTIVE,
                storage_format,
                kms_key_arn,
                lambda_authorizer_arn,
                client_token,
                now,
                now,
            ),
        )
    return datastore_id


def find_datastore(catalogue: Catalogue, datastore_id: str, *, active: bool = True) -> Row:
    """One data store; NotFound when it is unknown, or deleted while an `active` one is wanted."""
    row = catalogue.one("SELECT * FROM datastore WHERE id = ?", (datastore_id,))
    if row is None or (active and row["status"] != ACTIVE):
        raise NotFound(f"Data store {datastore_id} does not exist")
    return row


def list_datastores(catalogue: Catalogue, status: str | None, limit: int, offset: int) -> list[Row]:
    """A page of data stores, oldest first; deleted ones only when asked for."""
    return catalogue.all(
        "SELECT * FROM datastore WHERE status = ? ORDER BY created, id LIMIT ? OFFSET ?"
        if status
        else "SELECT * FROM datastore WHERE status != ? ORDER BY created, id LIMIT ? OFFSET ?",
        (status or DELETED, limit, offset),
    )


def delete_datastore(catalogue: Catalogue, datastore_id: str) -> None:
    """Mark an empty data store deleted; Conflict while it holds image sets or imports."""
    find_datastore(catalogue, datastore_id)
    with catalogue.transaction() as connection:
        busy: Any = connection.execute(
            "SELECT 1 FROM image_set WHERE datastore_id = ?1 AND state != 'DELETED' UNION ALL "
            "SELECT 1 FROM job WHERE datastore_id = ?1 AND status IN ('SUBMITTED', 'IN_PROGRESS') LIMIT 1",
            (datastore_id,),
        ).fetchone()
        if busy is not None:
            raise Conflict(f"Data store {datastore_id} is not empty")
        connection.execute(
            "UPDATE datastore SET status = ?, updated = ?, client_token = NULL WHERE id = ?",
            (DELETED, time.time(), datastore_id),
        )
        connection.execute("DELETE FROM ledger WHERE datastore_id = ?", (datastore_id,))
