"""The three sources that every retrieval reads: index, metadata documents, frames."""

from dataclasses import dataclass

from dicomweb_gateway.errors import ResourceNotFound, UpstreamNotFound
from dicomweb_gateway.frames.pool import FramePool
from dicomweb_gateway.imagesets.documents import DocumentCache
from dicomweb_gateway.imagesets.metadata import InstanceDocument
from dicomweb_gateway.index.reader import IndexReader
from dicomweb_gateway.index.records import InstanceRecord


@dataclass(frozen=True, slots=True)
class Archive:
    """What retrieval needs, handed down as one value; `window` frames are asked for ahead of the reader."""

    index: IndexReader
    documents: DocumentCache
    frames: FramePool
    window: int = 32


def document_of(archive: Archive, record: InstanceRecord) -> InstanceDocument:
    """The instance in its image set's metadata document.

    A 404 from HealthImaging makes the index rows of the image set stale at once and is a 404 here
    (DESIGN 2, healthimaging.md 6.3-10). An instance that is not in its document is ResourceNotFound.
    """
    try:
        document = archive.documents.get(record.image_set)
    except UpstreamNotFound:
        archive.index.mark_stale(record.image_set)
        raise
    found = document.find_instance(record.series_uid, record.instance_uid)
    if found is None:
        raise ResourceNotFound("the instance is no longer in its image set")
    return found
