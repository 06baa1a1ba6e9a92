"""What is verified: frames of image sets, in pieces that a process can take (healthimaging.md 3.6)."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.errors import UpstreamError
from dicomweb_gateway.imagesets.metadata import ImageSetDocument, InstanceDocument, parse_document
from dicomweb_gateway.imagesets.store import ImageSetRef, WantedFrame

FIRST_FRAMES, MOST_FRAMES = 64, 512
"""Frames of the first work and of those that come late: few ones are shared by all processes, and many keep
a process's connections busy to the end of each work."""
_GROWTH = 1.5

_DOCUMENTS_AHEAD = 3

Form = Literal["jph", "raw", "dicom"]
"""How frames are kept: as HealthImaging has them, decoded, or whole instances as Part 10 files."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Frames of one instance that follow one another; `first` is the number of the first, from 1 on."""

    ref: ImageSetRef
    study_uid: str
    series_uid: str
    instance_uid: str
    transfer_syntax_uid: str
    pixels: PixelDescription | None
    first: int
    frames: tuple[WantedFrame, ...]

    def key(self, form: Form | None) -> str:
        """What this piece is known again by; another version of its frames has another one."""
        told = [self.ref.image_set_id, self.instance_uid, str(self.first), form or ""]
        told += [f"{frame.key.frame_id} {frame.checksum}" for frame in self.frames]
        return sha256("\n".join(told).encode()).hexdigest()[:32]


Work = tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which part of the image sets is meant; None: all of it."""

    study_uid: str | None = None
    series_uid: str | None = None


@dataclass(frozen=True, slots=True)
class Unread:
    """An image set whose metadata did not come, with the reason."""

    ref: ImageSetRef
    reason: str


def works(
    metadata: Callable[[ImageSetRef], bytes], refs: Iterable[ImageSetRef], wanted: Wanted, whole: bool
) -> Iterator[Work | Unread]:
    """The frames of `refs`, `FIRST_FRAMES` to `MOST_FRAMES` a work; with `whole` no instance is cut in two.

    A few metadata documents are read ahead. Small image sets share a work, so that a process never waits for
    one frame alone.
    """
    collected: list[Piece] = []
    count, room = 0, float(FIRST_FRAMES)
    for piece in _all_pieces(metadata, refs, wanted, whole):
        if isinstance(piece, Unread):
            yield piece
            continue
        collected.append(piece)
        count += max(1, len(piece.frames))
        if count >= room:
            yield tuple(collected)
            collected, count, room = [], 0, min(MOST_FRAMES, room * _GROWTH)
    if collected:
        yield tuple(collected)


def _all_pieces(
    metadata: Callable[[ImageSetRef], bytes], refs: Iterable[ImageSetRef], wanted: Wanted, whole: bool
) -> Iterator[Piece | Unread]:
    for found in _documents(metadata, refs):
        if isinstance(found, Unread):
            yield found
            continue
        ref, document = found
        if wanted.study_uid not in (None, document.study_uid):
            continue
        try:
            yield from _of_document(ref, document, wanted, whole)
        except UpstreamError as error:
            yield Unread(ref, str(error))


def _documents(
    metadata: Callable[[ImageSetRef], bytes], refs: Iterable[ImageSetRef]
) -> Iterator[tuple[ImageSetRef, ImageSetDocument] | Unread]:
    def read(ref: ImageSetRef) -> tuple[ImageSetRef, ImageSetDocument] | Unread:
        try:
            return ref, parse_document(metadata(ref))
        except UpstreamError as error:
            return Unread(ref, str(error))

    with ThreadPoolExecutor(_DOCUMENTS_AHEAD, thread_name_prefix="metadata") as pool:
        ahead = []
        for ref in refs:
            ahead.append(pool.submit(read, ref))
            if len(ahead) > _DOCUMENTS_AHEAD:
                yield ahead.pop(0).result()
        while ahead:
            yield ahead.pop(0).result()


def _of_document(
    ref: ImageSetRef, document: ImageSetDocument, wanted: Wanted, whole: bool
) -> Iterator[Piece]:
    for series in document.series():
        if wanted.series_uid in (None, series.series_uid):
            for instance in series.instances():
                yield from _pieces(ref, document.study_uid, instance, whole)


def _pieces(ref: ImageSetRef, study_uid: str, instance: InstanceDocument, whole: bool) -> Iterator[Piece]:
    frames = instance.wanted_frames()
    step = max(1, len(frames)) if whole else FIRST_FRAMES
    for start in range(0, max(1, len(frames)), step):
        yield Piece(
            ref,
            study_uid,
            instance.series.series_uid,
            instance.instance_uid,
            instance.transfer_syntax_uid,
            instance.pixels,
            start + 1,
            frames[start : start + step],
        )
