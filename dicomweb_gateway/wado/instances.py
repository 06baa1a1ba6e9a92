"""Whole instances as Part 10 files, pixel data streamed frame by frame (dicomweb.md W-1 to W-7, W-12)."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from pydicom.dataset import Dataset

from dicomweb_gateway.dicom.codestream import parse_codestream
from dicomweb_gateway.dicom.part10 import Framing, encapsulated, native, without_pixels
from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.dicom.transfer_syntax import EXPLICIT_VR_LE, transfer_syntax
from dicomweb_gateway.errors import UndecodablePixels
from dicomweb_gateway.imagesets.dataset import instance_dataset
from dicomweb_gateway.imagesets.store import WantedFrame
from dicomweb_gateway.index.records import InstanceRecord
from dicomweb_gateway.pixels.decoders import decoded_photometric
from dicomweb_gateway.wado.archive import Archive, document_of
from dicomweb_gateway.wado.body import Lazy, Segment, read_segment, segment_length
from dicomweb_gateway.wado.frames import (
    decoded_frame,
    decoded_segments,
    described_pixels,
    stored_segments,
)

_FRAMES_TO_A_BYTE = 8
"""So many packed frames of any size end on a byte boundary."""


def instance_segments(archive: Archive, record: InstanceRecord, transfer_syntax_uid: str) -> list[Segment]:
    """One instance as a Part 10 file in `transfer_syntax_uid`: the stored syntax or ELE.

    Raises ResourceNotFound when its image set no longer holds it, UndecodablePixels, and what fetching
    raises. Stored frames are at hand when this returns; decoding waits until the body is read.
    """
    dataset = instance_dataset(document_of(archive, record))
    if not record.frames:
        return [without_pixels(dataset, EXPLICIT_VR_LE)]
    if transfer_syntax_uid != record.transfer_syntax_uid:
        return _decoded(archive, record, dataset)
    syntax = transfer_syntax(transfer_syntax_uid)
    if syntax is not None and not syntax.encapsulated:
        return _stored_native(archive, record, dataset)
    return _stored_encapsulated(archive, record, dataset)


def _stored_encapsulated(archive: Archive, record: InstanceRecord, dataset: Dataset) -> list[Segment]:
    frames = list(stored_segments(archive, record, record.frames))
    _describe_colour_transform(dataset, record, frames[0])
    framing = encapsulated(dataset, record.transfer_syntax_uid, [segment_length(f) for f in frames])
    return _framed(framing, frames)


def _describe_colour_transform(dataset: Dataset, record: InstanceRecord, first: Segment) -> None:
    """YBR_RCT or YBR_ICT for a codestream that carries such a transform (PS3.5 8.2.4; W-6).

    HealthImaging's own metadata says RGB for such frames, which is what decoding them gives.
    """
    syntax = transfer_syntax(record.transfer_syntax_uid)
    if syntax is None or syntax.family not in ("j2k", "htj2k"):
        return
    if dataset.get("PhotometricInterpretation") == "RGB":
        codestream = parse_codestream(read_segment(first))
        if codestream.colour_transform:
            dataset.PhotometricInterpretation = "YBR_RCT" if codestream.reversible else "YBR_ICT"


def _stored_native(archive: Archive, record: InstanceRecord, dataset: Dataset) -> list[Segment]:
    """Frames that are kept native are ELE already; packed ones are joined bit by bit."""
    pixels = described_pixels(record)
    if pixels.is_packed and pixels.frame_bits % 8:
        return _run(dataset, pixels, _packed_runs(archive, record, pixels))
    return _run(dataset, pixels, list(stored_segments(archive, record, record.frames)))


def _decoded(archive: Archive, record: InstanceRecord, dataset: Dataset) -> list[Segment]:
    pixels = described_pixels(record)
    _describe_decoded(dataset, record, pixels)
    if pixels.is_packed and pixels.frame_bits % 8:
        return _run(dataset, pixels, _packed_runs(archive, record, pixels))
    return _run(dataset, pixels, list(decoded_segments(archive, record, record.frames)))


def _describe_decoded(dataset: Dataset, record: InstanceRecord, pixels: PixelDescription) -> None:
    """Photometric interpretation and planar configuration of the bytes that go out (W-6)."""
    dataset.PhotometricInterpretation = decoded_photometric(record.transfer_syntax_uid, pixels)
    if pixels.samples_per_pixel > 1:
        dataset.PlanarConfiguration = 0


def _run(dataset: Dataset, pixels: PixelDescription, frames: list[Segment]) -> list[Segment]:
    length = sum(map(segment_length, frames))
    try:
        framing = native(dataset, EXPLICIT_VR_LE, pixels, length)
    except ValueError as error:
        raise UndecodablePixels(
            "the decoded pixel data is larger than a DICOM element; ask for transfer-syntax=*"
        ) from error
    return [framing.head, *frames, framing.after[0], framing.tail]


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
    bits = [decoded_frame(archive, record, frame, single).reshape(-1) for frame in group]
    return np.packbits(np.concatenate(bits), bitorder="little").tobytes()
