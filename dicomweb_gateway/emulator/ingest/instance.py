"""Imports one file: parses it, stores its frames, and gives its part of an image set document."""

import hashlib
import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from dicomweb_gateway.dicom.transfer_syntax import EXPLICIT_VR_LE
from dicomweb_gateway.emulator.blobs import BlobWriter
from dicomweb_gateway.emulator.ingest.delimiting import pixel_element
from dicomweb_gateway.emulator.ingest.document import PIXEL_ELEMENTS, Attributes, attributes_of
from dicomweb_gateway.emulator.ingest.reading import Identity, ParsedFile, read_file
from dicomweb_gateway.emulator.ingest.storing import StoredPixels, store_pixels
from dicomweb_gateway.errors import UnreadableDicom

DECODED = "DECOMPRESSED"


@dataclass(frozen=True, slots=True)
class FramePlace:
    """Where one frame lies: `length` bytes from `offset` of the instance's blob."""

    frame_id: str
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class ImportedInstance:
    """One file, imported but not yet visible.

    `patient`, `study`, `series` are the attributes of those levels, `instance` the instance's entry of the
    document (2.1), all as JSON. `digest` is equal for two files exactly when documents and pixels are.
    """

    identity: Identity
    patient: bytes
    study: bytes
    series: bytes
    instance: bytes
    blob: str | None
    transfer_syntax_uid: str | None
    frames: tuple[FramePlace, ...]
    warnings: tuple[str, ...]
    digest: bytes


def import_file(path: str, blob_root: Path, datastore_id: str, lossless_uid: str) -> ImportedInstance:
    """Import one file; UnreadableDicom with the reason when it cannot be."""
    _silence_pydicom()
    parsed = read_file(path)
    attributes = _attributes(parsed)
    element = pixel_element(parsed.dataset)
    if element is None:
        _mark_empty_pixels(parsed, attributes)
        return _imported(parsed, attributes, datastore_id, None, None)
    with BlobWriter(blob_root) as writer:
        stored = store_pixels(parsed, element, writer, lossless_uid)
        keyword = PIXEL_ELEMENTS[int(element.tag)]
        if keyword != "PixelData":
            attributes.instance[keyword] = None
        attributes.instance.update(stored.changes)
        return _imported(parsed, attributes, datastore_id, stored, writer.name)


def _attributes(parsed: ParsedFile) -> Attributes:
    """pydicom parses lazily: what is wrong with a nested or odd element shows only here."""
    try:
        return attributes_of(parsed.dataset, parsed.file_meta, little_endian=parsed.little_endian)
    except UnreadableDicom:
        raise
    except Exception as error:
        raise UnreadableDicom(f"its attributes cannot be read: {error or type(error).__name__}") from error


def _imported(
    parsed: ParsedFile,
    attributes: Attributes,
    datastore_id: str,
    stored: StoredPixels | None,
    blob: str | None,
) -> ImportedInstance:
    frames = stored.frames if stored else ()
    syntax = stored.transfer_syntax_uid if stored else ""
    ids = [
        _frame_id((datastore_id, syntax), parsed.identity, number, frame.digest)
        for number, frame in enumerate(frames, start=1)
    ]
    document: dict[str, Any] = {"DICOM": attributes.instance, "DICOMVRs": attributes.vrs}
    if stored is not None:
        document["StoredTransferSyntaxUID"] = stored.transfer_syntax_uid
        if frames and frames[0].min_value is not None and stored.transfer_syntax_uid != EXPLICIT_VR_LE:
            document["ChecksumType"] = DECODED
    document["ImageFrames"] = [
        {
            "ID": frame_id,
            "PixelDataChecksumFromBaseToFullResolution": [
                {"Width": frame.width, "Height": frame.height, "Checksum": frame.checksum}
            ],
            "MinPixelValue": frame.min_value,
            "MaxPixelValue": frame.max_value,
            "FrameSizeInBytes": frame.size_in_bytes,
        }
        for frame_id, frame in zip(ids, frames, strict=True)
    ]
    levels = [
        orjson.dumps(level, option=orjson.OPT_SORT_KEYS)
        for level in (attributes.patient, attributes.study, attributes.series)
    ]
    instance = orjson.dumps(document)
    return ImportedInstance(
        identity=parsed.identity,
        patient=levels[0],
        study=levels[1],
        series=levels[2],
        instance=instance,
        blob=blob,
        transfer_syntax_uid=stored.transfer_syntax_uid if stored else None,
        frames=tuple(
            FramePlace(frame_id, frame.offset, frame.length)
            for frame_id, frame in zip(ids, frames, strict=True)
        ),
        warnings=(stored.warning,) if stored and stored.warning else (),
        digest=hashlib.sha256(b"\0".join((*levels, instance))).digest(),
    )


def _frame_id(place: tuple[str, str], identity: Identity, number: int, digest: bytes) -> str:
    """32 hex digits that the same frame of the same instance always gets, so that nothing doubles.

    `place`: data store and stored transfer syntax.

    The grouping elements take part: two image sets of one series, which exist because these differ, never
    share a frame id.
    """
    name = "\0".join(
        (
            *place,
            identity.study_uid,
            identity.series_uid,
            *identity.study_key,
            *identity.series_key,
            identity.instance_uid,
            str(number),
        )
    )
    return hashlib.sha256(name.encode("utf-8", "replace") + digest).hexdigest()[:32]


def _mark_empty_pixels(parsed: ParsedFile, attributes: Attributes) -> None:
    """A pixel element without value stays visible as null."""
    for tag, keyword in PIXEL_ELEMENTS.items():
        if tag in parsed.dataset:
            attributes.instance[keyword] = None


def _silence_pydicom() -> None:
    """Odd values are kept and not worth a line each; what is left out gets a reason of its own."""
    warnings.simplefilter("ignore")
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
