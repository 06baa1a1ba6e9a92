"""Ids and addresses of HealthImaging's, as its own operations have them (healthimaging.md 1.2, 1.3)."""

import re

from dicomweb_gateway.errors import InvalidRequest

DATASTORE_RULE = "/datastore/<datastore_id>"
IMAGE_SET_RULE = f"{DATASTORE_RULE}/imageSet/<image_set_id>"
IMAGE_SET_PATH = "/datastore/(?P<datastore_id>[0-9a-z]{32})/imageSet/(?P<image_set_id>[0-9a-z]{32})"
"""`IMAGE_SET_RULE` with well-formed ids, as a regular expression."""

_ID = re.compile(r"[0-9a-z]{32}")
_VERSION = re.compile(r"[1-9][0-9]{0,9}")


def check_id(value: str, name: str) -> None:
    """InvalidRequest that says which id, a `name`, is none."""
    if not _ID.fullmatch(value):
        raise InvalidRequest(f"{value[:40]!r} is no {name} id: those are 32 digits and lower-case letters")


def check_image_set(datastore_id: str, image_set_id: str) -> None:
    """InvalidRequest unless both are ids."""
    check_id(datastore_id, "data store")
    check_id(image_set_id, "image set")


def check_version(value: str | None) -> str | None:
    """`value`, the version of an image set, None for the latest; InvalidRequest for anything else."""
    if value is not None and not _VERSION.fullmatch(value):
        raise InvalidRequest("version must be a whole number from 1 on")
    return value
