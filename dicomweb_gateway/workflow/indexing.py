"""One image set into the index, as an import wants it: what fails is noted there and told, and no more."""

from dicomweb_gateway.errors import UpstreamError
from dicomweb_gateway.imagesets.store import ImageSetRef
from dicomweb_gateway.index.writer import IndexWriter
from dicomweb_gateway.workflow.sync import Synchroniser


class Indexing:
    """Call it with an image set; the reason why it could not be indexed, None when it is."""

    def __init__(self, writer: IndexWriter, synchroniser: Synchroniser) -> None:
        self._writer = writer
        self._synchroniser = synchroniser

    def __call__(self, ref: ImageSetRef) -> str | None:
        """Index `ref` as it stands; IndexUnavailable when the index does not answer."""
        try:
            self._synchroniser.image_set(ref)
        except UpstreamError as error:
            self._writer.note_failure(ref, str(error))
            return str(error)
        return None
