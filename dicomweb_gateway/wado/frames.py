"""Frames of one instance: as stored, or decoded to Explicit VR Little Endian (dicomweb.md 4.2)."""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from dicomweb_gateway.dicom.codestream import BARE_START, JP2_SIGNATURE, codestream_span
from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.dicom.transfer_syntax import is_codestream
from dicomweb_gateway.errors import ResourceNotFound, UndecodablePixels, UpstreamNotFound
from dicomweb_gateway.frames.stored_frame import StoredFrame
from dicomweb_gateway.imagesets.store import WantedFrame
from dicomweb_gateway.index.records import InstanceRecord
from dicomweb_gateway.pixels.decoders import decode_frame, native_bytes
from dicomweb_gateway.wado.archive import Archive, forget_stale
from dicomweb_gateway.wado.body import FrameSlice, Lazy, Segment


def wanted_frames(record: InstanceRecord, frame_numbers: Sequence[int]) -> list[WantedFrame]:
    """The frames of 1-based `frame_numbers`, all when there are none; ResourceNotFound past the end (F-2)."""
    if not record.frames:
        raise ResourceNotFound("the instance has no pixel data")
    count = len(record.frames)
    if any(number > count for number in frame_numbers):
        raise ResourceNotFound(f"the instance has {count} frame{'s' if count > 1 else ''}")
    return [record.frames[number - 1] for number in frame_numbers] or list(record.frames)


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
    for frame in stored_frames(archive, record, wanted):
        yield _without_boxes(frame) if boxes else FrameSlice(frame, 0, frame.length)


def decoded_segments(
    archive: Archive, record: InstanceRecord, wanted: Sequence[WantedFrame]
) -> list[Segment]:
    """The frames as native little endian samples, decoded one by one while the body goes out (F-5)."""
    pixels = described_pixels(record)
    window = archive.window_of(record)
    archive.frames.prefetch(wanted[:window])

    def produce(number: int) -> bytes:
        if following := wanted[number + window : number + window + 1]:
            archive.frames.prefetch(following)
        return native_frame(archive, record, wanted[number], pixels)

    return [Lazy(pixels.frame_length, partial(produce, number)) for number in range(len(wanted))]


def native_frame(
    archive: Archive, record: InstanceRecord, frame: WantedFrame, pixels: PixelDescription
) -> bytes:
    """One frame as ELE; raises UndecodablePixels."""
    return native_bytes(decoded_frame(archive, record, frame, pixels), pixels)


def decoded_frame(
    archive: Archive,
    record: InstanceRecord,
    frame: WantedFrame,
    pixels: PixelDescription,
    reduce: int = 0,
) -> np.ndarray:
    """One frame's samples, see `pixels.decoders.decode_frame`; `reduce` halvings are skipped where it can."""
    stored = next(stored_frames(archive, record, [frame]))
    return decode_frame(stored.read(), record.transfer_syntax_uid, pixels, reduce=reduce)


def described_pixels(record: InstanceRecord) -> PixelDescription:
    """The record's pixel layout; UndecodablePixels when the instance does not describe its frames."""
    if record.pixels is None:
        raise UndecodablePixels("the instance does not say how its pixels are laid out")
    return record.pixels


def _without_boxes(frame: StoredFrame) -> Segment:
    """The bare codestream in `frame`; only boxed frames are read here, and again when they are sent."""
    file, offset = frame.open()
    with file:
        file.seek(offset)
        start = file.read(len(JP2_SIGNATURE))
    if start.startswith(BARE_START):
        return FrameSlice(frame, 0, frame.length)
    first, last = codestream_span(frame.read())
    return FrameSlice(frame, first, last - first)
