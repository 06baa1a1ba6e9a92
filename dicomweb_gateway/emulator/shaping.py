"""Frames and documents as older or odder versions of the service send them, made from what is stored."""

import gzip
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import orjson

from dicomweb_gateway.dicom.codestream import parse_codestream
from dicomweb_gateway.dicom.dictionary import attribute_of_keyword
from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.dicom.transfer_syntax import HTJ2K_LOSSLESS_RPCL
from dicomweb_gateway.emulator.config import Faults
from dicomweb_gateway.emulator.ingest.values import BINARY, NUMBERS
from dicomweb_gateway.pixels.decoders import decode_frame
from dicomweb_gateway.pixels.encoders import box_jp2, drop_tlm

Document = dict[str, Any]
ReadFrame = Callable[[str], bytes]
_UNPADDED = {"SQ", "AT", "UI", *NUMBERS, *BINARY}
_LOWER_LEVELS = 2


def shaped_frame(frame: bytes, transfer_syntax_uid: str, faults: Faults) -> bytes:
    """A stored frame as the switches want it sent."""
    if faults.boxed and transfer_syntax_uid == HTJ2K_LOSSLESS_RPCL:
        return box_jp2(drop_tlm(frame))
    return frame


def shaped_document(body: bytes, faults: Faults, read_frame: ReadFrame) -> bytes:
    """A stored document (gzip JSON) as the switches want it; `read_frame` gives stored frames."""
    changes: list[Callable[[Document], None]] = []
    if faults.multi_level_checksums:
        changes.append(lambda document: _add_lower_checksums(document, read_frame))
    if faults.pixel_data_null:
        changes.append(_show_pixel_data)
    if faults.without_stored_syntax:
        changes.append(_drop_stored_syntax)
    if faults.padded:
        changes.append(_pad)
    if not changes:
        return body
    document = orjson.loads(gzip.decompress(body))
    for change in changes:
        change(document)
    return gzip.compress(orjson.dumps(document), mtime=0)


def _instances(document: Document) -> Iterator[Document]:
    for series in document["Study"]["Series"].values():
        yield from series["Instances"].values()


def _show_pixel_data(document: Document) -> None:
    for instance in _instances(document):
        if instance.get("ImageFrames"):
            instance["DICOM"].setdefault("PixelData", None)


def _drop_stored_syntax(document: Document) -> None:
    for instance in _instances(document):
        if instance.get("StoredTransferSyntaxUID") == HTJ2K_LOSSLESS_RPCL:
            del instance["StoredTransferSyntaxUID"]


def _add_lower_checksums(document: Document, read_frame: ReadFrame) -> None:
    """Checksums of the next two smaller resolutions before the full one (2.4)."""
    for instance in _instances(document):
        if instance.get("StoredTransferSyntaxUID") == HTJ2K_LOSSLESS_RPCL:
            for frame in instance["ImageFrames"]:
                data = read_frame(frame["ID"])
                levels = frame["PixelDataChecksumFromBaseToFullResolution"]
                frame["PixelDataChecksumFromBaseToFullResolution"] = (
                    _lower_levels(data, instance["DICOM"]) + levels
                )


def _lower_levels(data: bytes, tags: dict[str, Any]) -> list[dict[str, int]]:
    facts = parse_codestream(data)
    pixels = PixelDescription(
        rows=tags["Rows"],
        columns=tags["Columns"],
        samples_per_pixel=tags.get("SamplesPerPixel") or 1,
        bits_allocated=tags.get("BitsAllocated") or 16,
        bits_stored=tags.get("BitsStored") or 16,
        pixel_representation=tags.get("PixelRepresentation") or 0,
    )
    levels = []
    for reduce in range(min(_LOWER_LEVELS, facts.decompositions), 0, -1):
        samples = decode_frame(data, HTJ2K_LOSSLESS_RPCL, pixels, reduce=reduce)
        checksum = zlib.crc32(np.ascontiguousarray(samples).data)
        levels.append({"Width": samples.shape[1], "Height": samples.shape[0], "Checksum": checksum})
    return levels


def _pad(document: Document) -> None:
    """Text of an odd length gets its padding back; of several values, the last one."""
    _pad_tags(document["Patient"]["DICOM"], {})
    _pad_tags(document["Study"]["DICOM"], {})
    for series in document["Study"]["Series"].values():
        _pad_tags(series["DICOM"], {})
        for instance in series["Instances"].values():
            _pad_tags(instance["DICOM"], instance["DICOMVRs"])


def _pad_tags(tags: dict[str, Any], vrs: dict[str, str]) -> None:
    for key, value in tags.items():
        row = attribute_of_keyword(key)
        vr = vrs.get(key) or (row.vr if row else "UN")
        if isinstance(value, list) and value and isinstance(value[0], dict):
            for item in value:
                _pad_tags(item, vrs)
        elif vr not in _UNPADDED and " or " not in vr:
            tags[key] = _padded(value)


def _padded(value: Any) -> Any:
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(v, str) for v in values) or len("\\".join(values).encode()) % 2 == 0:
        return value
    padded = [*values[:-1], f"{values[-1]} "]
    return padded if isinstance(value, list) else padded[0]
