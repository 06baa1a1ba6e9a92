"""Frames of one instance: stored, decoded to Explicit VR Little Endian, or coded anew (dicomweb.md 4.2)."""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.dicom.transfer_syntax import EXPLICIT_VR_LE, is_codestream
from dicomweb_gateway.errors import ResourceNotFound, UndecodablePixels, UpstreamNotFound
from dicomweb_gateway.frames.stored_frame import StoredFrame
from dicomweb_gateway.imagesets.store import WantedFrame
from dicomweb_gateway.index.records import InstanceRecord
from dicomweb_gateway.pixels.decoders import decode_frame, native_bytes
from dicomweb_gateway.pixels.optionals import CODECS
from dicomweb_gateway.pixels.targets import Servable, is_stored_form, servable
from dicomweb_gateway.pixels.transcode import decoded_description, encode_frame
from dicomweb_gateway.wado.archive import Archive, forget_stale
from dicomweb_gateway.wado.body import FrameSlice, Lazy, Segment
from dicomweb_gateway.wado.spool import Spool


def wanted_frames(record: InstanceRecord, frame_numbers: Sequence[int]) -> list[WantedFrame]:
    """The frames of 1-based `frame_numbers`, all when there are none; ResourceNotFound past the end (F-2)."""
    if not record.frames:
        raise ResourceNotFound("the instance has no pixel data")
    count = len(record.frames)
    if any(number > count for number in frame_numbers):
        raise ResourceNotFound(f"the instance has {count} frame{'s' if count > 1 else ''}")
    return [record.frames[number - 1] for number in frame_numbers] or list(record.frames)


def servable_syntaxes(record: InstanceRecord) -> Servable:
    """The transfer syntaxes in which the frames of the instance can be served."""
    return servable(record.transfer_syntax_uid, record.pixels)


def coded_by(record: InstanceRecord, transfer_syntax_uid: str) -> tuple[str, ...]:
    """What codes the instance's frames anew for `transfer_syntax_uid`; nothing when they need not be.

    For ETags and boundaries: ranges of answers by two versions of an encoder do not fit together (M-6).
    """
    kept = is_stored_form(record.transfer_syntax_uid, transfer_syntax_uid)
    return () if kept or transfer_syntax_uid == EXPLICIT_VR_LE or not record.frames else (CODECS,)


def frame_segments(
    archive: Archive, record: InstanceRecord, wanted: Sequence[WantedFrame], transfer_syntax_uid: str
) -> list[Segment]:
    """The frames in `transfer_syntax_uid`, one of `servable_syntaxes`; a segment each, all of known length.

    Raises UndecodablePixels, StorageUnavailable and what fetching raises.
    """
    if is_stored_form(record.transfer_syntax_uid, transfer_syntax_uid):
        return list(stored_segments(archive, record, wanted))
    if transfer_syntax_uid == EXPLICIT_VR_LE:
        return decoded_segments(archive, record, wanted)
    return transcoded_segments(archive, record, wanted, transfer_syntax_uid)


def stored_frames(
    archive: Archive, record: InstanceRecord, wanted: Sequence[WantedFrame]
) -> Iterator[StoredFrame]:
    """The frames as HealthImaging keeps them, in the order of `wanted`; a bounded number is under way."""
    try:
        yield from archive.frames.get_many(wanted, archive.window_of(record))
    except UpstreamNotFound:
        forget_stale(archive, record)
        raise


def stored_segments(
    archive: Archive, record: InstanceRecord, wanted: Sequence[WantedFrame]
) -> Iterator[Segment]:
    """The frames as stored, without JP2 boxes: fragments are bare codestreams (F-6)."""
    boxes = is_codestream(record.transfer_syntax_uid)
    frames = stored_frames(archive, record, wanted)
    for one, frame in zip(wanted, frames, strict=True):
        first, last = archive.spans.of(one.key, frame) if boxes else (0, frame.length)
        yield FrameSlice(frame, first, last - first)


def decoded_segments(
    archive: Archive, record: InstanceRecord, wanted: Sequence[WantedFrame]
) -> list[Segment]:
    """The frames as native little endian samples, decoded one by one while the body goes out (F-5)."""
    pixels = described_pixels(record)
    archive.frames.prefetch(wanted[: archive.ahead_of(record)])

    def produce(number: int) -> bytes:
        prefetch_behind(archive, record, wanted, number)
        return native_frame(archive, record, wanted[number], pixels, goes_on=number > 0)

    return [Lazy(pixels.frame_length, partial(produce, number)) for number in range(len(wanted))]


def transcoded_segments(
    archive: Archive, record: InstanceRecord, wanted: Sequence[WantedFrame], transfer_syntax_uid: str
) -> list[Segment]:
    """The frames decoded and coded in `transfer_syntax_uid`, all of them before this returns (W-3, M-7).

    They wait in a spool, so memory holds one frame at a time.
    """
    pixels = described_pixels(record)
    decoded = decoded_description(record.transfer_syntax_uid, pixels)
    archive.frames.prefetch(wanted[: archive.ahead_of(record)])
    spool = Spool(archive.spools)
    segments: list[Segment] = []
    for number, frame in enumerate(wanted):
        prefetch_behind(archive, record, wanted, number)
        stored = next(stored_frames(archive, record, [frame]))
        with archive.turns.turn(goes_on=number > 0):
            samples = decode_frame(stored.read(), record.transfer_syntax_uid, pixels)
            coded = encode_frame(samples, transfer_syntax_uid, decoded)
        kept = spool.add(coded)
        segments.append(FrameSlice(kept, 0, kept.length))
    return segments


def prefetch_behind(
    archive: Archive, record: InstanceRecord, wanted: Sequence[WantedFrame], number: int
) -> None:
    """Frame `number` (0-based) of `wanted` is about to be made: have the one behind the window fetched."""
    ahead = archive.ahead_of(record)
    if ahead and (following := wanted[number + ahead : number + ahead + 1]):
        archive.frames.prefetch(following)


def native_frame(
    archive: Archive,
    record: InstanceRecord,
    frame: WantedFrame,
    pixels: PixelDescription,
    *,
    goes_on: bool = False,
) -> bytes:
    """One frame as ELE; raises as `decoded_frame` does."""
    return native_bytes(decoded_frame(archive, record, frame, pixels, goes_on=goes_on), pixels)


def decoded_frame(
    archive: Archive,
    record: InstanceRecord,
    frame: WantedFrame,
    pixels: PixelDescription,
    *,
    goes_on: bool = False,
) -> np.ndarray:
    """One frame's samples, see `pixels.decoders.decode_frame`; waits as `DecodeTurns.turn` does."""
    stored = next(stored_frames(archive, record, [frame]))
    with archive.turns.turn(goes_on=goes_on):
        return decode_frame(stored.read(), record.transfer_syntax_uid, pixels)


def described_pixels(record: InstanceRecord) -> PixelDescription:
    """The record's pixel layout; UndecodablePixels when the instance does not describe its frames."""
    if record.pixels is None:
        raise UndecodablePixels("the instance does not say how its pixels are laid out")
    return record.pixels
