"""Image sets as HealthImaging's own operations give them, as far as the caller may see (7.2).

Only what the index knows is asked of HealthImaging, so nothing else is reached with our credentials.
"""

from collections.abc import Iterator
from typing import NamedTuple

import orjson

from dicomweb_gateway import patience
from dicomweb_gateway.errors import ResourceNotFound, UpstreamFailed, UpstreamNotFound
from dicomweb_gateway.imagesets.passed_on import PassedOn
from dicomweb_gateway.imagesets.store import ImageSetRef
from dicomweb_gateway.wado.archive import Archive, opened_document

PRIMARY = "isPrimary"
_SECONDS = 30.0


class Document(NamedTuple):
    """The JSON of a metadata document in pieces; `version` changes when it does."""

    version: str
    pieces: Iterator[bytes]


def image_set_document(
    archive: Archive, datastore_id: str, image_set_id: str, version_id: str | None
) -> Document:
    """The metadata document of an image set at a version, None for the latest.

    Another version than the indexed one may be of another patient, so what is hidden in it hides it. Raises
    ResourceNotFound and what `DocumentCache` raises.
    """
    archive.index.image_set_shown(datastore_id, image_set_id)
    ref = ImageSetRef(datastore_id, image_set_id, version_id)
    try:
        # a version that does not exist says nothing of the others: the rows are not stale then
        held = opened_document(archive, ref) if version_id is None else archive.documents.opened(ref)
    except UpstreamNotFound as error:
        raise _unknown(ref) from error
    # what is judged, named and sent is of one reading: the latest version may be another one the next time
    if not archive.index.sees_document(held.document):
        raise _unknown(ref)
    return Document(version_id or held.digest, held.pieces())


def image_set_properties(
    archive: Archive, datastore_id: str, image_set_id: str, version_id: str | None
) -> bytes:
    """GetImageSet's answer as HealthImaging wrote it; ResourceNotFound and UpstreamError.

    Whoever does not see the whole data store is told of no version that is hidden, and not whether it is
    primary: that it is not would say that another one of its series is there.
    """
    ref = ImageSetRef(datastore_id, image_set_id, version_id)
    if archive.index.sight.shows_all_of(datastore_id):
        archive.index.image_set_shown(datastore_id, image_set_id)
        return asking(archive).image_set(ref, patience.until(_SECONDS))
    if version_id is None:
        archive.index.image_set_shown(datastore_id, image_set_id)
    else:
        image_set_document(archive, datastore_id, image_set_id, version_id)
    try:
        told = orjson.loads(asking(archive).image_set(ref, patience.until(_SECONDS)))
        return orjson.dumps({name: value for name, value in told.items() if name != PRIMARY})
    except (orjson.JSONDecodeError, AttributeError) as error:
        raise UpstreamFailed("HealthImaging sent properties that are not of its schema") from error


def asking(archive: Archive) -> PassedOn:
    """The way to HealthImaging; ResourceNotFound where there is none."""
    if archive.passed_on is None:
        raise ResourceNotFound("HealthImaging is not asked here")
    return archive.passed_on


def _unknown(ref: ImageSetRef) -> ResourceNotFound:
    """What is said of what is not there, and of what is hidden: it must look the same."""
    if ref.version_id is not None:
        return ResourceNotFound(f"image set {ref.image_set_id} has no version {ref.version_id}")
    return ResourceNotFound(f"the index does not know image set {ref.image_set_id}")
