"""A whole gateway in one process: documents made here, index on SQLite, frames in memory, the real app."""

import hashlib
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from pathlib import Path
from sqlite3 import connect
from tempfile import TemporaryDirectory
from typing import Any
from zlib import crc32

import numpy as np
import orjson
from flask import Flask
from PIL import Image
from sqlalchemy import Engine

from dicomweb_gateway.app import create_app
from dicomweb_gateway.dicom.transfer_syntax import EXPLICIT_VR_LE, HTJ2K_LOSSLESS_RPCL, JPEG_BASELINE
from dicomweb_gateway.errors import UpstreamNotFound
from dicomweb_gateway.frames.stored_frame import FrameInMemory, StoredFrame
from dicomweb_gateway.imagesets.documents import DocumentCache
from dicomweb_gateway.imagesets.metadata import parse_document
from dicomweb_gateway.imagesets.store import FrameKey, ImageSetRef, WantedFrame
from dicomweb_gateway.index.engine import make_engine
from dicomweb_gateway.index.index_search import IndexSearch
from dicomweb_gateway.index.reader import IndexReader
from dicomweb_gateway.index.writer import IndexWriter
from dicomweb_gateway.pixels.encoders import box_jp2, encode_htj2k
from dicomweb_gateway.sight import EVERYTHING
from dicomweb_gateway.wado.archive import Archive
from dicomweb_gateway.wado.ready_metadata import ReadyMetadata
from dicomweb_gateway.web.services import HealthReport, Services, WebConfig
from tests.index_files import migrated_file

STORE = "d" * 32
STUDY, OTHER = "1.2.10", "1.2.20"
CT, SR = f"{STUDY}.1", f"{STUDY}.2"
JPEG, SEG, PDF, RGB, BROKEN, HTML, BOXED, UNNAMED = (f"{OTHER}.{number}" for number in range(1, 9))
CT_CLASS, PDF_CLASS = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.104.1"

BULK = bytes(range(256)) * 20
PDF_BYTES = b"%PDF-1.4 a document"


def hex_id(*words: object) -> str:
    """32 hex digits, the same for the same words."""
    return hashlib.md5(repr(words).encode(), usedforsecurity=False).hexdigest()


def slice_pixels(number: int) -> np.ndarray:
    """Slice `number` of the CT series: (96, 80) signed 16-bit."""
    return np.random.default_rng(number).integers(-1000, 1000, (96, 80), dtype=np.int16)


def rgb_pixels(number: int) -> np.ndarray:
    """Frame `number` of the colour series: (66, 70, 3) bytes."""
    return np.random.default_rng(100 + number).integers(0, 256, (66, 70, 3), dtype=np.uint8)


def segment_bits(number: int) -> np.ndarray:
    """Frame `number` of the segmentation: (5, 3) zeros and ones."""
    return np.random.default_rng(200 + number).integers(0, 2, (5, 3), dtype=np.uint8)


@dataclass
class FramesInMemory:
    """In place of the fetchers: frames by key; an exception in place of one is raised."""

    frames: dict[FrameKey, bytes | Exception] = field(default_factory=dict)
    asked: list[FrameKey] = field(default_factory=list)
    prefetched: list[FrameKey] = field(default_factory=list)

    def get(self, wanted: WantedFrame) -> StoredFrame:
        self.asked.append(wanted.key)
        found = self.frames[wanted.key]
        if isinstance(found, Exception):
            raise found
        return FrameInMemory(found)

    def get_many(self, wanted: Sequence[WantedFrame], window: int) -> Iterator[StoredFrame]:
        return (self.get(frame) for frame in wanted)

    def prefetch(self, wanted: Sequence[WantedFrame]) -> None:
        self.prefetched += [frame.key for frame in wanted]


@dataclass
class ImageSetsInMemory:
    """In place of HealthImaging: metadata by image set id; an exception in place of one is raised."""

    documents: dict[str, bytes | Exception] = field(default_factory=dict)

    def metadata(self, ref: ImageSetRef, deadline: float | None = None) -> bytes:
        found = self.documents.get(ref.image_set_id, UpstreamNotFound("it is gone"))
        if isinstance(found, Exception):
            raise found
        return found


@dataclass
class PassedOnInMemory:
    """In place of HealthImaging's answers that go through as they are; searches find every image set."""

    image_sets: ImageSetsInMemory

    def image_set(self, ref: ImageSetRef, deadline: float | None = None) -> bytes:
        return orjson.dumps({"datastoreId": ref.datastore_id, "imageSetId": ref.image_set_id})

    def search(
        self, datastore_id: str, criteria: bytes, query: Mapping[str, str], deadline: float | None = None
    ) -> bytes:
        found = [(one, blob) for one, blob in self.image_sets.documents.items() if isinstance(blob, bytes)]
        rows = [{"imageSetId": one, "version": 1, "DICOMTags": _tags_of(blob)} for one, blob in found]
        return orjson.dumps({"imageSetsMetadataSummaries": rows, "nextToken": None})


def _tags_of(blob: bytes) -> dict[str, Any]:
    study = orjson.loads(blob)["Study"]
    return {
        "DICOMStudyInstanceUID": study["DICOM"]["StudyInstanceUID"],
        "DICOMSeriesInstanceUID": next(iter(study["Series"])),
        "DICOMNumberOfStudyRelatedSeries": 8,
    }


@dataclass
class House:
    """Everything that a test may look at or change."""

    app: Flask
    services: Services
    engine: Engine
    image_sets: ImageSetsInMemory
    frames: FramesInMemory
    health: list[HealthReport]

    def key(self, series: str, number: int = 1, frame: int = 1) -> FrameKey:
        """The key of a frame, everything counted from 1."""
        return FrameKey(STORE, hex_id("set", series), hex_id("frame", series, number, frame))


def image_set(series: str, instances: list[dict[str, Any]], **series_tags: Any) -> bytes:
    """A metadata document of one series, `<series>.<n>` its instances."""
    study = series.rpartition(".")[0]
    made = {}
    for number, instance in enumerate(instances, 1):
        uid = f"{series}.{number}"
        frames = [
            {
                "ID": hex_id("frame", series, number, frame),
                "PixelDataChecksumFromBaseToFullResolution": [
                    {"Width": 8, "Height": 8, "Checksum": crc32(data)}
                ],
            }
            for frame, data in enumerate(instance.get("frames", []), 1)
        ]
        made[uid] = {
            "DICOM": {
                "SOPClassUID": CT_CLASS,
                "SOPInstanceUID": uid,
                "InstanceNumber": str(number),
                **instance["tags"],
            },
            "DICOMVRs": instance.get("vrs", {}),
            "StoredTransferSyntaxUID": instance.get("syntax", HTJ2K_LOSSLESS_RPCL),
            "ImageFrames": frames,
        }
    return orjson.dumps(
        {
            "SchemaVersion": "1.1",
            "DatastoreID": STORE,
            "ImageSetID": hex_id("set", series),
            "Patient": {"DICOM": {"PatientID": "P1 ", "PatientName": "Müller^Jörg"}},
            "Study": {
                "DICOM": {"StudyInstanceUID": study, "StudyDate": "20240311", "AccessionNumber": None},
                "Series": {
                    series: {
                        "DICOM": {"SeriesInstanceUID": series, "Modality": "CT", **series_tags},
                        "Instances": made,
                    }
                },
            },
        }
    )


def image(samples: np.ndarray, **tags: Any) -> dict[str, Any]:
    """The Image Pixel module of `samples`."""
    bits = samples.dtype.itemsize * 8
    return {
        "Rows": samples.shape[0],
        "Columns": samples.shape[1],
        "SamplesPerPixel": 3 if samples.ndim == 3 else 1,
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(samples.dtype.kind == "i"),
        "PhotometricInterpretation": "RGB" if samples.ndim == 3 else "MONOCHROME2",
        **tags,
    }


def jpeg_bytes() -> bytes:
    """A lossy 8-bit JPEG of 16 x 24 pixels."""
    buffer = BytesIO()
    Image.fromarray(np.arange(384, dtype=np.uint8).reshape(16, 24)).save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def _ct_tags(number: int) -> dict[str, Any]:
    return {
        "ImageType": ["ORIGINAL", "PRIMARY", "", "AXIAL"],
        "AcquisitionNumber": None,
        "TransferSyntaxUID": "1.2.840.10008.1.2",
        "FileMetaInformationGroupLength": 200,
        "RescaleSlope": "1 ",
        "00090010": "MAKER",
        "00091001": b64encode(BULK).decode(),
        "00091002": "AAEC",
        "RequestAttributesSequence": [{}, {"00090010": "MAKER", "00091001": b64encode(BULK).decode()}],
        "PixelData": None,
        **image(slice_pixels(number)),
    }


def _series() -> dict[str, tuple[list[dict[str, Any]], dict[str, Any]]]:
    """Series UID to (instances, series attributes)."""
    segments = [np.packbits(segment_bits(n).reshape(-1), bitorder="little").tobytes() for n in (1, 2, 3)]
    jpeg = jpeg_bytes()
    document = {"SOPClassUID": PDF_CLASS, "EncapsulatedDocument": b64encode(PDF_BYTES).decode()}
    vrs = {"00090010": "LO", "00091001": "UN", "00091002": "OB"}
    binary = image(segment_bits(1), BitsAllocated=1, BitsStored=1, HighBit=0, NumberOfFrames="3")
    return {
        CT: (
            [{"tags": _ct_tags(n), "vrs": vrs, "frames": [encode_htj2k(slice_pixels(n))]} for n in (1, 2, 3)],
            {"SeriesNumber": "1"},
        ),
        SR: ([{"tags": {"ContentDate": "20240311"}}], {"Modality": "SR", "SeriesNumber": "2"}),
        JPEG: (
            [{"tags": image(np.zeros((16, 24), np.uint8)), "syntax": JPEG_BASELINE, "frames": [jpeg]}],
            {"SeriesNumber": "1"},
        ),
        SEG: ([{"tags": binary, "syntax": EXPLICIT_VR_LE, "frames": segments}], {"Modality": "SEG"}),
        PDF: (
            [{"tags": {**document, "MIMETypeOfEncapsulatedDocument": "application/PDF "}}],
            {"Modality": "DOC"},
        ),
        RGB: (
            [
                {
                    "tags": image(rgb_pixels(1), NumberOfFrames="2", PlanarConfiguration=1),
                    "frames": [encode_htj2k(rgb_pixels(1)), encode_htj2k(rgb_pixels(2))],
                }
            ],
            {},
        ),
        BROKEN: ([{"tags": image(slice_pixels(1)), "frames": [encode_htj2k(slice_pixels(1))[:200]]}], {}),
        HTML: ([{"tags": {**document, "MIMETypeOfEncapsulatedDocument": "text/html"}}], {"Modality": "DOC"}),
        BOXED: (
            [{"tags": image(slice_pixels(1)), "frames": [box_jp2(encode_htj2k(slice_pixels(1)))]}],
            {},
        ),
        UNNAMED: ([{"tags": {**document, "MIMETypeOfEncapsulatedDocument": "x\r\nSet-Cookie: a=b"}}], {}),
    }


Change = Callable[[str, bytes], bytes | None]


def _as_it_is(_: str, blob: bytes) -> bytes:
    return blob


@cache
def _standing() -> tuple[bytes, dict[str, bytes], dict[FrameKey, bytes]]:
    """Index file, documents and frames of `_series`, which every house has."""
    documents: dict[str, bytes] = {}
    frames: dict[FrameKey, bytes] = {}
    with TemporaryDirectory() as folder:
        file = Path(folder) / "index.sqlite"
        _fill(migrated_file(file), _series(), documents, frames)
        with closing(connect(file)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return file.read_bytes(), documents, frames


def _fill(
    url: str,
    series: Mapping[str, tuple[list[dict[str, Any]], dict[str, Any]]],
    documents: dict[str, bytes],
    frames: dict[FrameKey, Any],
    change: Change = _as_it_is,
) -> None:
    """Add `series` to the index at `url`, to the documents by image set and to the frames."""
    writer = IndexWriter(url)
    for uid, (instances, tags) in series.items():
        blob = change(uid, image_set(uid, instances, **tags))
        if blob is None:
            continue
        store = parse_document(blob).datastore_id
        documents[hex_id("set", uid)] = blob
        writer.put(parse_document(blob), version=1, is_primary=True, updated_at=None)
        for number, instance in enumerate(instances, 1):
            for frame, data in enumerate(instance.get("frames", []), 1):
                key = FrameKey(store, hex_id("set", uid), hex_id("frame", uid, number, frame))
                frames[key] = data


def build(
    folder: Path,
    allowed: frozenset[str] | None = None,
    more: Mapping[str, tuple[list[dict[str, Any]], dict[str, Any]]] | None = None,
    change: Change = _as_it_is,
    **settings: Any,
) -> House:
    """A gateway over a new index below `folder`; `allowed` data stores, None for all; `more` like _series.

    `change` gives another document for that of a series, None to leave it out.
    """
    file = folder / "index.sqlite"
    url = f"sqlite:///{file}"
    image_sets, frames = ImageSetsInMemory(), FramesInMemory()
    if change is _as_it_is:
        index, documents, known = _standing()
        file.write_bytes(index)
        image_sets.documents.update(documents)
        frames.frames.update(known)
    else:
        _fill(migrated_file(file), _series(), image_sets.documents, frames.frames, change)
    if more:
        _fill(url, more, image_sets.documents, frames.frames)
    engine = make_engine(url)
    config = {
        "ae_paths": ("/aetitle", "/dicomweb"),
        "public_url": "http://gw:1",
        "port": 8080,
        "boundary_key": b"secret",
    }
    sight = EVERYTHING.within(allowed)
    index = IndexReader(engine, sight=sight)
    archive: Any = Archive(
        index, DocumentCache(image_sets, folder / "documents"), frames, passed_on=PassedOnInMemory(image_sets)
    )  # type: ignore[arg-type]
    health = [HealthReport()]
    web = WebConfig(**{**config, **settings})
    services = Services(
        web,
        archive,
        IndexSearch(engine, sight),
        lambda: health[-1],
        ready=ReadyMetadata(folder / "ready") if web.public_url else None,
    )
    return House(create_app(services), services, engine, image_sets, frames, health)


def lasting(response: Any) -> dict[str, str]:
    """The headers of an answer that another one to the same request must have too."""
    own = ("Date", "Server-Timing", "X-Request-Id")
    return {name: value for name, value in response.headers.items() if name not in own}


def path_of(series: str, number: int | None = None) -> str:
    """Below the base path: the series, or its instance `number` from 1."""
    found = f"/aetitle/studies/{series.rpartition('.')[0]}/series/{series}"
    return found if number is None else f"{found}/instances/{series}.{number}"


def parts_of(response: Any) -> list[tuple[dict[str, str], bytes]]:
    """Headers and payload of each part, split by hand; fails on anything that M-1 to M-3 forbid."""
    kind, _, rest = response.headers["Content-Type"].partition("; ")
    assert kind == "multipart/related"
    parameters = dict(pair.split("=", 1) for pair in rest.split("; "))
    assert parameters["type"].startswith('"')
    delimiter = b"--" + parameters["boundary"].encode()
    body = response.get_data()
    assert body.startswith(delimiter + b"\r\n")
    assert body.endswith(b"\r\n" + delimiter + b"--\r\n")
    parts = []
    for part in body[len(delimiter) + 2 : -len(delimiter) - 6].split(b"\r\n" + delimiter + b"\r\n"):
        head, payload = part.split(b"\r\n\r\n", 1)
        lines = dict(line.split(": ", 1) for line in head.decode("ascii").split("\r\n"))
        assert next(iter(lines)) == "Content-Type"
        assert int(lines.get("Content-Length", len(payload))) == len(payload)
        parts.append((lines, payload))
    return parts
