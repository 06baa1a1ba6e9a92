"""Image sets and their versions: look up, list, delete (healthimaging.md 1.2, 4.3, 4.5)."""

import time
from typing import Any

from dicomweb_gateway.emulator.catalogue import Row
from dicomweb_gateway.emulator.errors import Conflict, NotFound
from dicomweb_gateway.emulator.storage import Storage

ACTIVE, LOCKED, DELETED = "ACTIVE", "LOCKED", "DELETED"


def find_image_set(storage: Storage, datastore_id: str, image_set_id: str) -> Row:
    """One image set, also a deleted one, of which only this row is left; NotFound when there is none."""
    row = storage.catalogue.one(
        "SELECT * FROM image_set WHERE id = ? AND datastore_id = ?", (image_set_id, datastore_id)
    )
    if row is None:
        raise NotFound(f"Image set {image_set_id} does not exist in data store {datastore_id}")
    return row


def find_version(storage: Storage, image_set: Row, version: int | None) -> Row:
    """One version of an image set, the latest when `version` is None; NotFound when it is not there."""
    wanted = image_set["version"] if version is None else version
    row = storage.catalogue.one(
        "SELECT * FROM image_set_version WHERE image_set_id = ? AND version = ?", (image_set["id"], wanted)
    )
    if row is None:
        raise NotFound(f"Image set {image_set['id']} has no version {wanted}")
    return row


def look_up(
    storage: Storage, datastore_id: str, image_set_id: str, version: int | None
) -> tuple[Row, Row | None]:
    """An image set with one version of it, the latest when `version` is None; none of a deleted one."""
    row = find_image_set(storage, datastore_id, image_set_id)
    try:
        return row, None if row["state"] == DELETED else find_version(storage, row, version)
    except NotFound:
        # its deletion may have ended between the two looks
        row = find_image_set(storage, datastore_id, image_set_id)
        if row["state"] != DELETED:
            raise
        return row, None


def list_versions(storage: Storage, image_set: Row, limit: int, offset: int) -> list[Row]:
    """A page of versions, newest first."""
    return storage.catalogue.all(
        "SELECT * FROM image_set_version WHERE image_set_id = ? ORDER BY version DESC LIMIT ? OFFSET ?",
        (image_set["id"], limit, offset),
    )


def document_of(storage: Storage, image_set: Row, version: int | None) -> tuple[int, bytes]:
    """(version number, gzip JSON) of one metadata document."""
    row = find_version(storage, image_set, version)
    try:
        return row["version"], storage.read_document(row["metadata"])
    except FileNotFoundError as error:
        raise NotFound(f"Image set {image_set['id']} is being deleted") from error


def frame_of(storage: Storage, datastore_id: str, image_set_id: str, frame_id: str) -> tuple[str, bytes]:
    """(stored transfer syntax UID, bytes) of one frame."""
    row = storage.catalogue.one(
        "SELECT f.* FROM frame f JOIN image_set i ON i.id = f.image_set_id "
        "WHERE f.image_set_id = ? AND f.frame_id = ? AND i.datastore_id = ?",
        (image_set_id, frame_id, datastore_id),
    )
    if row is None:
        find_image_set(storage, datastore_id, image_set_id)
        raise NotFound(f"Image set {image_set_id} has no image frame {frame_id}")
    try:
        return row["transfer_syntax_uid"], storage.read_frame(row["blob"], row["offset"], row["length"])
    except FileNotFoundError as error:
        raise NotFound(f"Image set {image_set_id} is being deleted") from error


def begin_deletion(storage: Storage, datastore_id: str, image_set_id: str) -> Row:
    """Lock an image set for deletion; the reaper does the rest. Conflict when it is not ACTIVE."""
    with storage.catalogue.transaction() as connection:
        row = find_image_set(storage, datastore_id, image_set_id)
        if row["state"] != ACTIVE:
            raise Conflict(f"Image set {image_set_id} is {row['state']}")
        connection.execute(
            "UPDATE image_set SET state = ?, updated = ? WHERE id = ?", (LOCKED, time.time(), image_set_id)
        )
    return row


def finish_deletions(storage: Storage) -> list[Row]:
    """Delete what is locked for it; a row stays behind that says DELETED. Returns what was deleted."""
    locked = storage.catalogue.all("SELECT * FROM image_set WHERE state = ?", (LOCKED,))
    for row in locked:
        _finish_deletion(storage, row["id"])
    return locked


def _finish_deletion(storage: Storage, image_set_id: str) -> None:
    names: Any = storage.catalogue.all
    blobs = [
        r["blob"] for r in names("SELECT DISTINCT blob FROM frame WHERE image_set_id = ?", (image_set_id,))
    ]
    documents = [
        r["metadata"]
        for r in names("SELECT metadata FROM image_set_version WHERE image_set_id = ?", (image_set_id,))
    ]
    now = time.time()
    with storage.catalogue.transaction() as connection:
        connection.execute(
            "UPDATE image_set SET state = ?, updated = ?, deleted = ? WHERE id = ?",
            (DELETED, now, now, image_set_id),
        )
        for table in ("frame", "image_set_version", "ledger", "forced"):
            connection.execute(f"DELETE FROM {table} WHERE image_set_id = ?", (image_set_id,))  # noqa: S608
    storage.discard(_unnamed(storage, blobs), documents)


def _unnamed(storage: Storage, blobs: list[str]) -> list[str]:
    """Blobs that no other image set has frames in, as a copy has."""
    return [
        blob
        for blob in blobs
        if storage.catalogue.one("SELECT 1 FROM frame WHERE blob = ? LIMIT 1", (blob,)) is None
    ]
