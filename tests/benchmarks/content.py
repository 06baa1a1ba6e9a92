"""Data that no run has seen before: CT-like frames, series of them and their metadata documents.

A run codes a handful of distinct frames from fresh random noise; many frame ids name each of them, so that a
series of thousands of slices costs no memory. The last two hex digits of a frame id name its frame, which is
how the upstream finds the bytes without a table.
"""

import gzip
import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import uuid4

import numpy as np
import orjson

from dicomweb_gateway.pixels.encoders import encode_htj2k

SIZE = 512
HTJ2K = "1.2.840.10008.1.2.4.202"
_NOISE = 10.0
"""Standard deviation in Hounsfield units; it makes a coded frame about 200 KB."""


@dataclass(frozen=True)
class Frame:
    """A coded frame of `size` x `size` and the unsigned CRC-32 of its decoded little-endian samples."""

    payload: bytes
    checksum: int
    smallest: int
    largest: int
    size: int = SIZE


def make_frames(count: int, size: int = SIZE) -> list[Frame]:
    """`count` (256 at most) different frames of `size` x `size` signed 16-bit samples, HTJ2K with TLM."""
    chance = np.random.default_rng()
    return [_frame(chance, size) for _ in range(count)]


def _frame(chance: np.random.Generator, size: int) -> Frame:
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    body = np.where((x / 0.9) ** 2 + (y / 0.65) ** 2 < 1, 50.0, -1000.0)
    for side in (-1, 1):
        width, height = chance.uniform(0.2, 0.34, 2)
        body[((x - 0.42 * side) / width) ** 2 + (y / height) ** 2 < 1] = -850
    samples = np.round(body + chance.normal(0, _NOISE, body.shape)).astype("<i2")
    checksum = zlib.crc32(samples.tobytes())
    return Frame(encode_htj2k(samples), checksum, int(samples.min()), int(samples.max()), size)


def _hex_id() -> str:
    return uuid4().hex


def _uid() -> str:
    return f"2.25.{uuid4().int}"


@dataclass(frozen=True)
class Series:
    """`instances` images of `frames` frames each, alone in a study and in an image set."""

    pool: tuple[Frame, ...]
    instances: int
    frames: int
    datastore_id: str
    image_set_id: str
    study_uid: str
    series_uid: str
    instance_uids: tuple[str, ...]
    frame_ids: tuple[tuple[str, ...], ...]

    @property
    def path(self) -> str:
        """Below the base path of the gateway."""
        return f"/studies/{self.study_uid}/series/{self.series_uid}"

    @property
    def frame_paths(self) -> list[str]:
        """Every frame alone, in viewing order."""
        return [
            f"{self.path}/instances/{uid}/frames/{number}"
            for uid in self.instance_uids
            for number in range(1, self.frames + 1)
        ]

    @property
    def instance_paths(self) -> list[str]:
        """Every instance."""
        return [f"{self.path}/instances/{uid}" for uid in self.instance_uids]

    @property
    def upstream_path(self) -> str:
        """Of the image set in HealthImaging."""
        return f"/datastore/{self.datastore_id}/imageSet/{self.image_set_id}"

    @cached_property
    def document(self) -> bytes:
        """The metadata document as HealthImaging keeps it, UTF-8 JSON (healthimaging.md section 2)."""
        return orjson.dumps(_document(self))

    @property
    def zipped(self) -> bytes:
        """The document as HealthImaging sends it."""
        return gzip.compress(self.document, 1)


def make_series(pool: list[Frame], instances: int, frames: int = 1) -> Series:
    """A new series under ids that nothing else has; its frames take turns from `pool`."""
    numbers = iter(range(instances * frames))
    return Series(
        pool=tuple(pool),
        instances=instances,
        frames=frames,
        datastore_id=_hex_id(),
        image_set_id=_hex_id(),
        study_uid=_uid(),
        series_uid=_uid(),
        instance_uids=tuple(_uid() for _ in range(instances)),
        frame_ids=tuple(
            tuple(f"{_hex_id()[:30]}{next(numbers) % len(pool):02x}" for _ in range(frames))
            for _ in range(instances)
        ),
    )


def frame_index(frame_id: str) -> int:
    """Which frame of the pool (0-based) an id names."""
    return int(frame_id[-2:], 16)


def _document(series: Series) -> dict[str, Any]:
    instances = {
        uid: _instance(series, number, uid, ids)
        for number, (uid, ids) in enumerate(zip(series.instance_uids, series.frame_ids, strict=True), 1)
    }
    return {
        "SchemaVersion": "1.1",
        "DatastoreID": series.datastore_id,
        "ImageSetID": series.image_set_id,
        "Patient": {
            "DICOM": {
                "PatientBirthDate": "19700131",
                "PatientID": series.study_uid[-12:],
                "PatientName": "BENCH^MARK",
                "PatientSex": "O",
            }
        },
        "Study": {
            "DICOM": {
                "AccessionNumber": series.study_uid[-8:],
                "ReferringPhysicianName": "ROE^RICHARD",
                "StudyDate": "20240311",
                "StudyDescription": "CHEST WITH CONTRAST",
                "StudyID": "1",
                "StudyInstanceUID": series.study_uid,
                "StudyTime": "101500",
                "PatientAge": "054Y",
                "PatientWeight": "71.0",
            },
            "Series": {series.series_uid: {"DICOM": _series_tags(series), "Instances": instances}},
        },
    }


def _series_tags(series: Series) -> dict[str, Any]:
    return {
        "BodyPartExamined": "CHEST",
        "FrameOfReferenceUID": f"{series.series_uid}.1",
        "InstitutionName": "GENERAL HOSPITAL",
        "Manufacturer": "MAKER",
        "ManufacturerModelName": "SCANNER 128",
        "Modality": "CT",
        "PatientPosition": "HFS",
        "ProtocolName": "CHEST",
        "SeriesDate": "20240311",
        "SeriesDescription": "AX 2.5mm",
        "SeriesInstanceUID": series.series_uid,
        "SeriesNumber": "1",
        "SoftwareVersions": ["V1", "V2"],
        "StationName": "CT1",
    }


def _instance(series: Series, number: int, uid: str, frame_ids: tuple[str, ...]) -> dict[str, Any]:
    frames = [series.pool[frame_index(one)] for one in frame_ids]
    size = frames[0].size
    many = {"NumberOfFrames": str(len(frames))} if len(frames) > 1 else {}
    return {
        "DICOM": {**_instance_tags(number, uid), "Rows": size, "Columns": size, **many},
        "DICOMVRs": {
            "00090010": "LO",
            "00091001": "LO",
            "00091002": "FD",
            "00190010": "LO",
            "00191003": "IS",
        },
        "StoredTransferSyntaxUID": HTJ2K,
        "ChecksumType": "DECOMPRESSED",
        "ImageFrames": [
            {
                "ID": one,
                "PixelDataChecksumFromBaseToFullResolution": [
                    {"Width": size, "Height": size, "Checksum": frame.checksum}
                ],
                "MinPixelValue": frame.smallest,
                "MaxPixelValue": frame.largest,
                "FrameSizeInBytes": size * size * 2,
            }
            for one, frame in zip(frame_ids, frames, strict=True)
        ],
    }


def _instance_tags(number: int, uid: str) -> dict[str, Any]:
    """About as much as a scanner writes: 60 attributes, two sequences, three private ones."""
    code = {"CodeValue": "113014", "CodingSchemeDesignator": "DCM", "CodeMeaning": "Study"}
    return {
        "FileMetaInformationVersion": "AAE=",
        "MediaStorageSOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
        "MediaStorageSOPInstanceUID": uid,
        "TransferSyntaxUID": "1.2.840.10008.1.2.1",
        "ImplementationClassUID": "1.2.826.0.1.3680043.8.498.1",
        "ImplementationVersionName": "BENCH",
        "SpecificCharacterSet": "ISO_IR 192",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "InstanceCreationDate": "20240311",
        "InstanceCreationTime": f"10{number // 60 % 60:02d}{number % 60:02d}.125000",
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
        "SOPInstanceUID": uid,
        "AcquisitionDate": "20240311",
        "AcquisitionTime": f"10{number // 60 % 60:02d}{number % 60:02d}.5",
        "ContentDate": "20240311",
        "ContentTime": f"10{number // 60 % 60:02d}{number % 60:02d}.75",
        "ProcedureCodeSequence": [code],
        "ReferencedStudySequence": [
            {"ReferencedSOPClassUID": "1.2.840.10008.3.1.2.3.1", "ReferencedSOPInstanceUID": f"{uid[:-1]}9"}
        ],
        "ScanOptions": "HELICAL MODE",
        "SliceThickness": "2.5",
        "KVP": "120.0",
        "DataCollectionDiameter": "500.0",
        "ReconstructionDiameter": "360.0",
        "DistanceSourceToDetector": "949.075",
        "DistanceSourceToPatient": "541.0",
        "GantryDetectorTilt": "0.0",
        "TableHeight": "160.0",
        "RotationDirection": "CW",
        "ExposureTime": "500",
        "XRayTubeCurrent": f"{200 + number % 90}",
        "Exposure": "18",
        "FilterType": "BODY FILTER",
        "GeneratorPower": "48000",
        "FocalSpots": "1.2",
        "ConvolutionKernel": "STANDARD",
        "RevolutionTime": 0.5,
        "SingleCollimationWidth": 0.625,
        "TotalCollimationWidth": 40.0,
        "TableSpeed": 78.75,
        "SpiralPitchFactor": 0.984375,
        "CTDIvol": 7.25,
        "AcquisitionNumber": "1",
        "InstanceNumber": str(number),
        "ImagePositionPatient": ["-180.0", "-180.0", f"{-2.5 * number}"],
        "ImageOrientationPatient": ["1.0", "0.0", "0.0", "0.0", "1.0", "0.0"],
        "PositionReferenceIndicator": "SN",
        "SliceLocation": f"{-2.5 * number}",
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "PixelSpacing": ["0.703125", "0.703125"],
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 1,
        "WindowCenter": ["40.0", "-600.0"],
        "WindowWidth": ["400.0", "1500.0"],
        "RescaleIntercept": "0.0",
        "RescaleSlope": "1.0",
        "RescaleType": "HU",
        "00090010": "BENCH 1.0",
        "00091001": "SOMETHING PRIVATE",
        "00091002": 1.5,
        "00190010": "BENCH 2.0",
        "00191003": "17",
    }
