"""The three sources that every retrieval reads: index, metadata documents, frames."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from dicomweb_gateway.dicom.spool_space import SpoolSpace
from dicomweb_gateway.errors import IndexUnavailable, ResourceNotFound, UpstreamNotFound
from dicomweb_gateway.frames.first_levels import FirstLevels
from dicomweb_gateway.frames.level_bounds import LevelBounds
from dicomweb_gateway.frames.pool import FramePool
from dicomweb_gateway.imagesets.document_file import OpenDocument
from dicomweb_gateway.imagesets.documents import DocumentCache
from dicomweb_gateway.imagesets.metadata import ImageSetDocument, InstanceDocument, SeriesDocument
from dicomweb_gateway.imagesets.passed_on import PassedOn
from dicomweb_gateway.imagesets.shared_documents import SharedBytes
from dicomweb_gateway.imagesets.store import ImageSetRef
from dicomweb_gateway.index.reader import IndexReader
from dicomweb_gateway.index.records import InstanceOutline, InstanceRecord
from dicomweb_gateway.pixels.turns import DecodeTurns
from dicomweb_gateway.wado.kept_pictures import KeptPictures
from dicomweb_gateway.wado.kept_searches import KeptSearches
from dicomweb_gateway.wado.prefetch import Prefetcher, frame_weight
from dicomweb_gateway.wado.presentations import Presentations
from dicomweb_gateway.wado.spans import CodestreamSpans

_NO_LONGER = "the instance is no longer in its image set"


@dataclass(frozen=True, slots=True)
class Archive:
    """What retrieval needs, handed down as one value.

    `prefetcher` None means no prefetching. Of one answer at most `window` frames are under way, and no more
    than about `window_bytes` of them. `spools` says where frames lie that are coded anew for an answer.
    Decoding waits for its turn in `turns`. `pictures` None means that rendered images are not kept.
    `passed_on` asks HealthImaging what is answered as it stands.
    `shared` is the cache tier of all hosts, None for none. `searches` bounds searches for image sets.
    """

    index: IndexReader
    documents: DocumentCache
    frames: FramePool
    prefetcher: Prefetcher | None = None
    window: int = 32
    window_bytes: int = 64 << 20
    spools: SpoolSpace = field(default_factory=SpoolSpace)
    levels: LevelBounds = field(default_factory=LevelBounds)
    first_levels: FirstLevels = field(default_factory=FirstLevels)
    turns: DecodeTurns = field(default_factory=DecodeTurns)
    presentations: Presentations = field(default_factory=Presentations)
    pictures: KeptPictures | None = None
    spans: CodestreamSpans = field(default_factory=CodestreamSpans)
    passed_on: PassedOn | None = None
    shared: SharedBytes | None = None
    searches: KeptSearches = field(default_factory=KeptSearches)

    def window_of(self, record: InstanceRecord) -> int:
        """How many frames of an instance may be under way at once; at least one."""
        return max(1, self.ahead_of(record))

    def ahead_of(self, record: InstanceRecord) -> int:
        """How many frames may be fetched while another is made; none when two together are too large."""
        fitting = self.window_bytes // frame_weight(record)
        return min(self.window, fitting) if fitting > 1 else 0


def document_of(archive: Archive, record: InstanceRecord) -> InstanceDocument:
    """The instance in its image set's metadata document.

    A 404 from HealthImaging makes the index rows of the image set stale at once and is a 404 here
    (DESIGN 2, healthimaging.md 6.3-10). An instance that is not in its document is ResourceNotFound.
    """
    document = _document(archive, record.image_set)
    found = document.find_instance(record.series_uid, record.instance_uid)
    if found is None:
        raise ResourceNotFound(_NO_LONGER)
    return found


def series_of(archive: Archive, outline: InstanceOutline) -> SeriesDocument:
    """The series of an instance in its image set's metadata document; fails as `document_of`."""
    document = _document(archive, outline.image_set)
    found = document.find_series(outline.series_uid)
    if found is None:
        raise ResourceNotFound(_NO_LONGER)
    return found


def attributes_of(series: SeriesDocument, instance_uid: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Attributes and VRs of an instance; ResourceNotFound where it is not in the series any more."""
    try:
        return series.attributes(instance_uid)
    except KeyError:
        raise ResourceNotFound(_NO_LONGER) from None


def version_of(archive: Archive, ref: ImageSetRef) -> str:
    """What changes when an image set does (H-5): its version, where it has none the digest of its document.

    Raises as `document_of` does.
    """
    try:
        return archive.documents.version(ref)
    except UpstreamNotFound:
        _mark_stale(archive, ref)
        raise


def opened_document(archive: Archive, ref: ImageSetRef) -> OpenDocument:
    """The metadata document of an image set and its text; fails as `document_of`."""
    try:
        return archive.documents.opened(ref)
    except UpstreamNotFound:
        _mark_stale(archive, ref)
        raise


def _document(archive: Archive, ref: ImageSetRef) -> ImageSetDocument:
    return opened_document(archive, ref).document


def forget_stale(archive: Archive, record: InstanceRecord) -> None:
    """Make the index rows of the record's image set stale, where the index may be written."""
    _mark_stale(archive, record.image_set)


def _mark_stale(archive: Archive, ref: ImageSetRef) -> None:
    with suppress(IndexUnavailable):
        archive.index.mark_stale(ref)
