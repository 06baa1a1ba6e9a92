"""The image set metadata document as study, series, instances and frames (healthimaging.md section 2)."""

from collections import ChainMap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import orjson

from dicomweb_gateway.dicom.pixel_description import (
    DOUBLE_FLOAT_PIXEL_DATA,
    FLOAT_PIXEL_DATA,
    PIXEL_DATA,
    PixelDescription,
)
from dicomweb_gateway.dicom.transfer_syntax import HTJ2K_LOSSLESS_RPCL
from dicomweb_gateway.errors import CorruptMetadata, UpstreamFailed
from dicomweb_gateway.imagesets.split_document import (
    NOT_OF_SCHEMA,
    LazyInstances,
    Slices,
    TextSlices,
    split_document,
)
from dicomweb_gateway.imagesets.store import FrameKey, WantedFrame
from dicomweb_gateway.imagesets.values import Tags, integer, text


@dataclass(frozen=True, slots=True)
class FrameDocument:
    """One entry of ImageFrames (2.4); `checksum` is that of the full resolution, None when not given."""

    frame_id: str
    checksum: int | None
    width: int | None
    height: int | None
    min_pixel_value: int | None
    max_pixel_value: int | None
    size_in_bytes: int | None


@dataclass(frozen=True, slots=True)
class InstanceDocument:
    """One instance with the attributes of its own level; `series` leads to those above it."""

    series: "SeriesDocument"
    instance_uid: str
    tags: Tags
    vrs: dict[str, str]
    transfer_syntax_uid: str
    frames: tuple[FrameDocument, ...]

    @property
    def levels(self) -> tuple[Tags, Tags, Tags, Tags]:
        """Patient, study, series and instance attributes; a later level wins where a key stands twice."""
        image_set = self.series.image_set
        return image_set.patient, image_set.study, self.series.tags, self.tags

    @property
    def pixels(self) -> PixelDescription | None:
        """Layout of the frames, None when the instance has no frames or does not describe them.

        An instance without ImageFrames has no pixels here, whatever its Image Pixel module says.
        """
        # HealthImaging keeps the Image Pixel module with the instance; another store may place it higher
        tags = _merged(self.levels)
        rows, columns = integer(tags, "Rows"), integer(tags, "Columns")
        if not self.frames or not rows or not columns:
            return None
        keyword = next((k for k in (FLOAT_PIXEL_DATA, DOUBLE_FLOAT_PIXEL_DATA) if k in tags), PIXEL_DATA)
        allocated = integer(tags, "BitsAllocated") or 16
        stored = integer(tags, "BitsStored") or allocated
        high_bit = integer(tags, "HighBit")
        return PixelDescription(
            rows=rows,
            columns=columns,
            samples_per_pixel=integer(tags, "SamplesPerPixel") or 1,
            bits_allocated=allocated,
            bits_stored=stored,
            high_bit=stored - 1 if high_bit is None else high_bit,
            pixel_representation=integer(tags, "PixelRepresentation") or 0,
            photometric_interpretation=text(tags, "PhotometricInterpretation") or "MONOCHROME2",
            planar_configuration=integer(tags, "PlanarConfiguration") or 0,
            number_of_frames=len(self.frames),
            keyword=keyword,
        )

    def wanted_frames(self) -> tuple[WantedFrame, ...]:
        """What to ask the frame fetchers for, in frame order (frame 1 first)."""
        image_set = self.series.image_set
        sample = max(1, (integer(_merged(self.levels), "BitsAllocated") or 8) // 8)
        return tuple(
            WantedFrame(
                FrameKey(image_set.datastore_id, image_set.image_set_id, frame.frame_id),
                self.transfer_syntax_uid,
                frame.checksum,
                sample,
            )
            for frame in self.frames
        )


@dataclass(frozen=True, slots=True)
class SeriesDocument:
    """One series of an image set; its instances are read and made one by one, on demand."""

    image_set: "ImageSetDocument"
    series_uid: str
    tags: Tags
    raw_instances: Mapping[str, dict[str, Any]]

    def instances(self) -> Iterator[InstanceDocument]:
        """The instances in document order, which means nothing (2.1): sort where order matters."""
        for uid in self.raw_instances:
            yield self.instance(uid)

    def attributes(self, instance_uid: str) -> tuple[dict[str, Any], dict[str, str]]:
        """The attributes and VRs of one instance, its frames not looked at; fails as `instance` does."""
        raw = self.raw_instances[instance_uid]
        try:
            return _named(raw.get("DICOM"), "SOPInstanceUID", instance_uid), _map(raw.get("DICOMVRs"))
        except (TypeError, AttributeError) as error:
            raise CorruptMetadata(NOT_OF_SCHEMA) from error

    def instance(self, instance_uid: str) -> InstanceDocument:
        """One instance by SOP Instance UID.

        KeyError when the series does not hold it, CorruptMetadata when it is not of the schema.
        """
        raw = self.raw_instances[instance_uid]
        try:
            return InstanceDocument(
                series=self,
                instance_uid=instance_uid,
                tags=_named(raw.get("DICOM"), "SOPInstanceUID", instance_uid),
                vrs=_map(raw.get("DICOMVRs")),
                transfer_syntax_uid=raw.get("StoredTransferSyntaxUID") or HTJ2K_LOSSLESS_RPCL,
                frames=tuple(_frame(f) for f in raw.get("ImageFrames") or ()),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CorruptMetadata(NOT_OF_SCHEMA) from error


@dataclass(frozen=True, slots=True)
class ImageSetDocument:
    """A whole metadata document; several series in one image set are allowed (2.1)."""

    datastore_id: str
    image_set_id: str
    patient: Tags
    study: Tags
    raw_series: dict[str, dict[str, Any]]

    @property
    def study_uid(self) -> str:
        """Study Instance UID, "" when the document has none."""
        return text(self.study, "StudyInstanceUID") or ""

    def series(self) -> Iterator[SeriesDocument]:
        """The series of the image set, normally one."""
        for uid, raw in self.raw_series.items():
            yield SeriesDocument(self, uid, raw["DICOM"], raw["Instances"])

    def find_series(self, series_uid: str) -> SeriesDocument | None:
        """The series, None when the image set does not hold it."""
        return next((one for one in self.series() if one.series_uid == series_uid), None)

    def find_instance(self, series_uid: str, instance_uid: str) -> InstanceDocument | None:
        """The instance below its series, None when the document does not hold it there."""
        series = self.find_series(series_uid)
        return series.instance(instance_uid) if series and instance_uid in series.raw_instances else None


def parse_document(blob: bytes) -> ImageSetDocument:
    """The document in `blob` (UTF-8 JSON, already gunzipped); UpstreamFailed when it is none.

    The blob stays in memory as long as the document; what is parsed of it does not.
    """
    split = split_document(blob)
    return assemble(split.skeleton, TextSlices(split.table, split.text))


def assemble(skeleton: bytes, slices: Slices) -> ImageSetDocument:
    """The document of which `skeleton` is the head and `slices` gives the instances.

    UpstreamFailed when the skeleton is not of the schema.
    """
    try:
        raw = orjson.loads(skeleton)
        study = raw["Study"]
        series = study.get("Series") or {}
        for uid, one in series.items():
            one["DICOM"] = _named(one.get("DICOM"), "SeriesInstanceUID", uid)
            one["Instances"] = LazyInstances(dict(one.get("Instances") or {}), slices)
        return ImageSetDocument(
            datastore_id=raw["DatastoreID"],
            image_set_id=raw["ImageSetID"],
            patient=(raw.get("Patient") or {}).get("DICOM") or {},
            study=study.get("DICOM") or {},
            raw_series=series,
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise UpstreamFailed(NOT_OF_SCHEMA) from error


def _map(value: Any) -> dict[str, Any]:
    """A JSON object; an empty one for nothing. Raises TypeError for anything else."""
    if value and not isinstance(value, dict):
        raise TypeError
    return value or {}


def _named(value: Any, keyword: str, uid: str) -> dict[str, Any]:
    """Attributes in which the UID stands that their object is called by; the example of 2.6 leaves it out."""
    tags = _map(value)
    return tags if tags.get(keyword) else {**tags, keyword: uid}


def _merged(levels: tuple[Tags, ...]) -> Tags:
    """One view of all levels; the instance's own values win."""
    return ChainMap(*(cast(dict[str, Any], level) for level in reversed(levels)))


def _width(level: dict[str, Any]) -> int:
    width = level.get("Width")
    return width if width.__class__ is int else integer(level, "Width") or 0


def _frame(raw: dict[str, Any]) -> FrameDocument:
    levels = raw.get("PixelDataChecksumFromBaseToFullResolution") or ()
    full: dict[str, Any] = max(levels, key=_width, default={})
    checksum = full.get("Checksum")
    return FrameDocument(
        frame_id=raw["ID"],
        checksum=None if checksum is None else int(checksum) & 0xFFFFFFFF,
        width=integer(full, "Width"),
        height=integer(full, "Height"),
        min_pixel_value=raw.get("MinPixelValue"),
        max_pixel_value=raw.get("MaxPixelValue"),
        size_in_bytes=raw.get("FrameSizeInBytes"),
    )
