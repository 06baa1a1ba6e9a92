"""Encapsulated documents: PDF, CDA, STL, OBJ and whatever else a file wraps (dicomweb.md R-4, B-3)."""

from dicomweb_gateway.errors import NotAcceptable, ResourceNotFound
from dicomweb_gateway.imagesets.values import integer
from dicomweb_gateway.index.records import InstanceRecord
from dicomweb_gateway.wado.archive import Archive, document_of
from dicomweb_gateway.wado.bulkdata import DOCUMENT, bulk_value

_DOCUMENT_CLASSES = "1.2.840.10008.5.1.4.1.1.104."
"""SOP classes of encapsulated documents begin so (PS3.4 B.5)."""


def is_document(record: InstanceRecord) -> bool:
    """Whether the SOP class says that the instance wraps a document."""
    return record.sop_class_uid.startswith(_DOCUMENT_CLASSES)


def encapsulated_document(archive: Archive, record: InstanceRecord) -> tuple[bytes, str]:
    """The document's bytes without the pad byte, and its media type, whatever the SOP class.

    NotAcceptable when the instance wraps none (R-5).
    """
    try:
        data, media_type = bulk_value(archive, record, DOCUMENT)
    except ResourceNotFound:
        data, media_type = b"", ""
    if not data:
        raise NotAcceptable("the instance has no image or document that could be rendered")
    length = integer(document_of(archive, record).tags, "EncapsulatedDocumentLength")
    return data[:-1] if length == len(data) - 1 else data, media_type
