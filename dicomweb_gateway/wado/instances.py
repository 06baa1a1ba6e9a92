"""Whole instances as Part 10 files, pixel data streamed frame by frame (dicomweb.md W-1 to W-7, W-12)."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from pydicom.dataset import Dataset

from dicomweb_gateway.dicom.codestream import parse_codestream
from dicomweb_gateway.dicom.part10 import Framing, encapsulated, native, without_pixels
from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.dicom.transfer_syntax import (
    EXPLICIT_VR_LE,
    JPEG_BASELINE,
    is_codestream,
    transfer_syntax,
)
from dicomweb_gateway.errors import UndecodablePixels
from dicomweb_gateway.imagesets.dataset import instance_dataset
from dicomweb_gateway.imagesets.store import WantedFrame
from dicomweb_gateway.index.records import InstanceRecord
from dicomweb_gateway.pixels.targets import is_stored_form
from dicomweb_gateway.pixels.transcode import coded_description, decoded_description
from dicomweb_gateway.wado.archive import Archive, document_of
from dicomweb_gateway.wado.body import Lazy, Segment, content_length, read_segment, segment_length
from dicomweb_gateway.wado.frames import (
    decoded_frame,
    decoded_segments,
    described_pixels,
    stored_segments,
    transcoded_segments,
)

_INTERLEAVED = ("jpeg", "jpegls", "jpegxl", "j2k", "htj2k")
"""Families whose streams hold all samples of a pixel, whatever order the imported file had."""

_FRAMES_TO_A_BYTE = 8
"""So many packed frames of any size end on a byte boundary."""


def instance_segments(archive: Archive, record: InstanceRecord, transfer_syntax_uid: str) -> list[Segment]:
    """One instance as a Part 10 file in `transfer_syntax_uid`, one of `frames.servable_syntaxes`.

    Raises ResourceNotFound when its image set no longer holds it, UndecodablePixels, StorageUnavailable,
    and what fetching raises. Stored frames, and those coded anew, are at hand when this returns; decoding
    to ELE waits until the body is read.
    """
    dataset = instance_dataset(document_of(archive, record))
    if not record.frames:
        return [without_pixels(dataset, EXPLICIT_VR_LE)]
    if not is_stored_form(record.transfer_syntax_uid, transfer_syntax_uid):
        make = _decoded if transfer_syntax_uid == EXPLICIT_VR_LE else _transcoded
        return make(archive, record, dataset, transfer_syntax_uid)
    syntax = transfer_syntax(transfer_syntax_uid)
    if syntax is not None and not syntax.encapsulated:
        return _stored_native(archive, record, dataset)
    return _stored_encapsulated(archive, record, dataset, transfer_syntax_uid)


def _stored_encapsulated(
    archive: Archive, record: InstanceRecord, dataset: Dataset, transfer_syntax_uid: str
) -> list[Segment]:
    frames = list(stored_segments(archive, record, record.frames))
    _describe_stored(dataset, record, frames[0])
    return _encapsulated(dataset, transfer_syntax_uid, frames)


def _describe_stored(dataset: Dataset, record: InstanceRecord, first: Segment) -> None:
    """What colour codestreams say of themselves, where the metadata say what was imported (W-6).

    YBR_RCT or YBR_ICT for a codestream that carries such a transform, RGB for one that does not, and no
    planes or subsampling where all components lie in one codestream (PS3.5 8.2.1, 8.2.3, 8.2.4).
    HealthImaging's own metadata says RGB for transformed frames, which is what decoding them gives.
    """
    syntax = transfer_syntax(record.transfer_syntax_uid)
    if syntax is None or record.pixels is None or record.pixels.samples_per_pixel == 1:
        return
    if syntax.family in _INTERLEAVED:
        dataset.PlanarConfiguration = 0
    if not is_codestream(syntax.uid):
        return
    told = dataset.get("PhotometricInterpretation")
    codestream = parse_codestream(read_segment(first))
    if told in ("RGB", "YBR_RCT", "YBR_ICT"):
        transform = "YBR_RCT" if codestream.reversible else "YBR_ICT"
        dataset.PhotometricInterpretation = transform if codestream.colour_transform else "RGB"
    elif told == "YBR_FULL_422" and codestream.uniform:
        dataset.PhotometricInterpretation = "YBR_FULL"


def _stored_native(archive: Archive, record: InstanceRecord, dataset: Dataset) -> list[Segment]:
    """Frames that are kept native are ELE already; packed ones are joined bit by bit."""
    pixels = described_pixels(record)
    if pixels.is_packed and pixels.frame_bits % 8:
        return _run(dataset, pixels, _packed_runs(archive, record, pixels))
    return _run(dataset, pixels, list(stored_segments(archive, record, record.frames)))


def _transcoded(
    archive: Archive, record: InstanceRecord, dataset: Dataset, transfer_syntax_uid: str
) -> list[Segment]:
    frames = transcoded_segments(archive, record, record.frames, transfer_syntax_uid)
    decoded = decoded_description(record.transfer_syntax_uid, described_pixels(record))
    _describe(dataset, coded_description(transfer_syntax_uid, decoded))
    if transfer_syntax_uid == JPEG_BASELINE:
        mark_lossy(dataset, "ISO_10918_1", decoded.frame_length * len(frames) / content_length(frames))
    return _encapsulated(dataset, transfer_syntax_uid, frames)


def _decoded(
    archive: Archive, record: InstanceRecord, dataset: Dataset, transfer_syntax_uid: str
) -> list[Segment]:
    pixels = described_pixels(record)
    _describe(dataset, decoded_description(record.transfer_syntax_uid, pixels))
    if pixels.is_packed and pixels.frame_bits % 8:
        return _run(dataset, pixels, _packed_runs(archive, record, pixels))
    return _run(dataset, pixels, list(decoded_segments(archive, record, record.frames)))


def _describe(dataset: Dataset, pixels: PixelDescription) -> None:
    """Photometric interpretation and planar configuration of the bytes that go out (W-6)."""
    dataset.PhotometricInterpretation = pixels.photometric_interpretation
    if pixels.samples_per_pixel > 1:
        dataset.PlanarConfiguration = pixels.planar_configuration


def mark_lossy(dataset: Dataset, method: str, ratio: float) -> None:
    """Say that the pixels have gone through one more lossy step (PS3.3 C.7.6.1.1.2, C.7.6.1.1.5).

    `method` is a defined term of Lossy Image Compression Method, `ratio` that of the sizes before and
    behind. The SOP Instance UID stays: the answer is a rendition of the instance that was asked for, which
    is not to be stored as a new one.
    """
    image_type = list(dataset.get("ImageType") or ["", "PRIMARY"])
    dataset.ImageType = ["DERIVED", *image_type[1:]]
    dataset.LossyImageCompression = "01"
    for keyword, value in (
        ("LossyImageCompressionRatio", f"{ratio:.2f}"),
        ("LossyImageCompressionMethod", method),
    ):
        earlier = dataset.get(keyword)
        steps = [earlier] if isinstance(earlier, str | float) else list(earlier or [])
        setattr(dataset, keyword, [*steps, value])


def _run(dataset: Dataset, pixels: PixelDescription, frames: list[Segment]) -> list[Segment]:
    length = sum(map(segment_length, frames))
    try:
        framing = native(dataset, EXPLICIT_VR_LE, pixels, length)
    except ValueError as error:
        raise UndecodablePixels(
            "the decoded pixel data is larger than a DICOM element; ask for transfer-syntax=*"
        ) from error
    return [framing.head, *frames, framing.after[0], framing.tail]


def _encapsulated(dataset: Dataset, transfer_syntax_uid: str, frames: list[Segment]) -> list[Segment]:
    try:
        framing = encapsulated(dataset, transfer_syntax_uid, [segment_length(frame) for frame in frames])
    except ValueError as error:
        raise UndecodablePixels(f"{error}; its frames can be retrieved on their own") from error
    return _framed(framing, frames)


def _framed(framing: Framing, frames: Sequence[Segment]) -> list[Segment]:
    segments: list[Segment] = [framing.head]
    for before, frame, after in zip(framing.before, frames, framing.after, strict=True):
        segments += [before, frame, after]
    return [*segments, framing.tail]


def _packed_runs(archive: Archive, record: InstanceRecord, pixels: PixelDescription) -> list[Segment]:
    """One-bit frames that do not end on a byte, joined without gaps as PS3.5 8.1.1 has them (W-7)."""
    groups = [
        record.frames[start : start + _FRAMES_TO_A_BYTE]
        for start in range(0, len(record.frames), _FRAMES_TO_A_BYTE)
    ]
    return [
        Lazy((pixels.frame_bits * len(group) + 7) // 8, partial(_pack_group, archive, record, group, pixels))
        for group in groups
    ]


def _pack_group(
    archive: Archive, record: InstanceRecord, group: Sequence[WantedFrame], pixels: PixelDescription
) -> bytes:
    single = replace(pixels, number_of_frames=1)
    bits = [decoded_frame(archive, record, frame, single, goes_on=True).reshape(-1) for frame in group]
    return np.packbits(np.concatenate(bits), bitorder="little").tobytes()
