"""Tags of data stores and image sets, by ARN (healthimaging.md 1.2)."""

import re
from collections.abc import Mapping, Sequence

from dicomweb_gateway.emulator.datastores import find_datastore
from dicomweb_gateway.emulator.errors import InvalidRequest, NotFound
from dicomweb_gateway.emulator.image_sets import DELETED, find_image_set
from dicomweb_gateway.emulator.storage import Storage

_ARN = re.compile(
    r"arn:aws(?:-[a-z-]+)?:medical-imaging:[a-z0-9-]{1,32}:[0-9]{12}:"
    r"datastore/([0-9a-z]{32})(?:/imageset/([0-9a-z]{32}))?"
)
_KEY = re.compile(r"(?!aws:)[\w\s.:/=+@-]{1,128}")
_VALUE = re.compile(r"[\w\s.:/=+@-]{0,256}")
_MOST = 200


def tags_of(storage: Storage, arn: str) -> dict[str, str]:
    """The tags of a resource; NotFound when there is none of this ARN."""
    _require(storage, arn)
    rows = storage.catalogue.all("SELECT key, value FROM tag WHERE arn = ? ORDER BY key", (arn,))
    return {row["key"]: row["value"] for row in rows}


def tag(storage: Storage, arn: str, tags: object) -> None:
    """Add tags, or change their values."""
    checked = checked_tags(tags)
    if not checked:
        raise InvalidRequest("tags must have a member at least")
    if len({*tags_of(storage, arn), *checked}) > _MOST:
        raise InvalidRequest(f"A resource may have {_MOST} tags")
    put_tags(storage, arn, checked)


def put_tags(storage: Storage, arn: str, tags: Mapping[str, str]) -> None:
    """The same without a check."""
    with storage.catalogue.transaction() as connection:
        connection.executemany(
            "INSERT OR REPLACE INTO tag VALUES (?, ?, ?)", [(arn, key, value) for key, value in tags.items()]
        )


def untag(storage: Storage, arn: str, keys: Sequence[str]) -> None:
    """Take tags away; keys without a tag are no error."""
    if not 1 <= len(keys) <= _MOST:
        raise InvalidRequest(f"tagKeys must be 1 to {_MOST} keys")
    _require(storage, arn)
    with storage.catalogue.transaction() as connection:
        connection.executemany("DELETE FROM tag WHERE arn = ? AND key = ?", [(arn, key) for key in keys])


def checked_tags(tags: object) -> dict[str, str]:
    """A map of tags; InvalidRequest naming what is wrong."""
    if not isinstance(tags, dict) or len(tags) > _MOST:
        raise InvalidRequest(f"tags must be a map of at most {_MOST} members")
    for key, value in tags.items():
        if not _KEY.fullmatch(key) or not isinstance(value, str) or not _VALUE.fullmatch(value):
            raise InvalidRequest("Value at 'tags' failed to satisfy constraint: a key or value is malformed")
    return tags


def _require(storage: Storage, arn: str) -> None:
    found = _ARN.fullmatch(arn)
    if found is None:
        raise InvalidRequest(
            "Value at 'resourceArn' failed to satisfy constraint: it is no ARN of a resource"
        )
    find_datastore(storage.catalogue, found[1])
    if found[2] is not None and find_image_set(storage, found[1], found[2])["state"] == DELETED:
        raise NotFound(f"Image set {found[2]} is deleted")
