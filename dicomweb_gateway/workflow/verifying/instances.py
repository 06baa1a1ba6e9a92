"""Instances as Part 10 files out of checked frames, by the code that WADO-RS answers with."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from dicomweb_gateway.dicom.spool_space import SpoolSpace
from dicomweb_gateway.errors import (
    GatewayError,
    StorageUnavailable,
    UpstreamDenied,
    UpstreamError,
    UpstreamNotFound,
)
from dicomweb_gateway.imagesets.metadata import ImageSetDocument, InstanceDocument
from dicomweb_gateway.imagesets.store import ImageSetRef, WantedFrame
from dicomweb_gateway.imagesets.values import text
from dicomweb_gateway.index.records import InstanceRecord
from dicomweb_gateway.wado.archive import Archive
from dicomweb_gateway.wado.body import chunks
from dicomweb_gateway.wado.frames import servable_syntaxes
from dicomweb_gateway.wado.instances import instance_segments
from dicomweb_gateway.wado.spool import Spool, SpooledFrame
from dicomweb_gateway.workflow.verifying.keeping import Failure, instance_path, write_whole
from dicomweb_gateway.workflow.verifying.work import Piece

Payloads = Callable[[Sequence[WantedFrame], int], Iterator[bytes]]
"""Gives checked frames in order, so many under way at most."""


def kept_instance(
    payloads: Payloads, document: ImageSetDocument | UpstreamError, piece: Piece, folder: Path
) -> int | Failure:
    """Bytes of an instance's frames, when it is kept whole; or what is wrong."""
    try:
        if isinstance(document, UpstreamError):
            raise document
        found = document.find_instance(piece.series_uid, piece.instance_uid)
        if found is None:
            raise UpstreamNotFound("the instance is no longer in its image set")
        record = _record(piece, found)
        source = _Source(payloads, document, SpoolSpace(folder))
        syntax = next(iter(servable_syntaxes(record))) if record.frames else record.transfer_syntax_uid
        write_whole(instance_path(folder, piece), *chunks(instance_segments(source.archive, record, syntax)))
        return source.size
    except (UpstreamDenied, StorageUnavailable):
        raise
    except OSError as error:
        raise StorageUnavailable(f"the instances cannot be kept: {error.strerror or error}") from error
    except GatewayError as error:
        return Failure(piece.ref.image_set_id, piece.instance_uid, 0, str(error))


class _Source:
    """An Archive over HealthImaging itself: without index and frame store, one document, checked frames.

    Frames wait in a spool, so that memory holds a window of them.
    """

    def __init__(self, payloads: Payloads, document: ImageSetDocument, space: SpoolSpace) -> None:
        self._payloads = payloads
        self._spool = Spool(space)
        self.document = document
        self.size = 0
        ours: Any = self
        self.archive = Archive(index=ours, documents=ours, frames=ours, spools=space)

    def opened(self, ref: ImageSetRef) -> "_Source":
        """The document that the instance is in."""
        return self

    def mark_stale(self, ref: ImageSetRef) -> None:
        """There is no index to tell."""

    def prefetch(self, wanted: Sequence[WantedFrame]) -> None:
        """Frames come when they are asked for."""

    def get_many(self, wanted: Sequence[WantedFrame], window: int) -> Iterator[SpooledFrame]:
        """Checked frames in order."""
        for payload in self._payloads(wanted, window):
            self.size += len(payload)
            yield self._spool.add(payload)


def _record(piece: Piece, instance: InstanceDocument) -> InstanceRecord:
    return InstanceRecord(
        study_uid=piece.study_uid,
        series_uid=piece.series_uid,
        instance_uid=piece.instance_uid,
        sop_class_uid=text(instance.tags, "SOPClassUID") or "",
        image_set=piece.ref,
        transfer_syntax_uid=instance.transfer_syntax_uid,
        pixels=instance.pixels,
        frames=instance.wanted_frames(),
        modality=None,
        instance_number=None,
    )
