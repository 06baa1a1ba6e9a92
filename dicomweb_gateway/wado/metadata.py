"""Instance metadata in the DICOM JSON model, instance by instance (dicomweb.md 4.3)."""

from collections.abc import Iterable, Iterator
from functools import lru_cache

from dicomweb_gateway.dicom.json_model import JsonObject, dumps, element
from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.dicom.transfer_syntax import transfer_syntax
from dicomweb_gateway.imagesets.metadata import SeriesDocument
from dicomweb_gateway.imagesets.shared_json import Own, SharedJson
from dicomweb_gateway.imagesets.store import ImageSetRef
from dicomweb_gateway.index.records import InstanceOutline
from dicomweb_gateway.pixels.decoders import decoded_photometric
from dicomweb_gateway.wado.archive import Archive, attributes_of, series_of

_PIXEL_TAGS = {"PixelData": "7FE00010", "FloatPixelData": "7FE00008", "DoubleFloatPixelData": "7FE00009"}
_PIXEL_VRS = {"FloatPixelData": "OF", "DoubleFloatPixelData": "OD"}
_MOST_SERIES = 16
"""Parts of image sets that one answer holds at a time: a series lies in one, seldom in a few."""


def metadata_objects(archive: Archive, outlines: Iterable[InstanceOutline], base_url: str) -> Iterator[bytes]:
    """One DICOM JSON object per outline, in their order, each made when it is taken; UTF-8.

    `base_url` is the absolute URL of the DICOMweb base path without a trailing slash (J-29).
    """
    shared = SharedJson()
    held: dict[tuple[ImageSetRef, str], SeriesDocument] = {}
    last: InstanceOutline | None = None
    for outline in outlines:
        # most are of the series of the one before, and comparing is cheaper than hashing
        if last is None or last.series_uid != outline.series_uid or last.image_set != outline.image_set:
            key = outline.image_set, outline.series_uid
            if key not in held:
                if len(held) >= _MOST_SERIES:
                    held.clear()
                held[key] = series_of(archive, outline)
            series, last = held[key], outline
        yield instance_json(series, outline, base_url, shared)


def json_array(objects: Iterable[bytes]) -> Iterator[bytes]:
    """A JSON array, one object a piece (J-1)."""
    separator = b"["
    for one in objects:
        yield separator + one
        separator = b","
    yield b"]" if separator == b"," else b"[]"


def instance_json(
    series: SeriesDocument, outline: InstanceOutline, base_url: str, shared: SharedJson
) -> bytes:
    """One instance as DICOM JSON, keys ascending: all four levels, pixel data and bulk data by URI."""
    pixels = outline.pixels
    bulk_base = (
        f"{base_url}/studies/{outline.study_uid}/series/{outline.series_uid}"
        f"/instances/{outline.instance_uid}/bulkdata/"
    )
    own = dict(_described(outline.transfer_syntax_uid, pixels if outline.has_frames else None))
    if outline.has_frames:
        keyword = pixels.keyword if pixels else "PixelData"
        wide = pixels is None or pixels.bits_allocated != 8
        vr = _PIXEL_VRS.get(keyword, "OW" if wide else "OB")
        tag = _PIXEL_TAGS[keyword]
        own[tag] = b'{"vr":"%b","BulkDataURI":%b}' % (vr.encode(), dumps(bulk_base + tag))
    tags, vrs = attributes_of(series, outline.instance_uid)
    above = series.image_set.patient, series.image_set.study, series.tags
    signed = bool(pixels and pixels.pixel_representation)
    return shared.make(above, tags, vrs, signed, Own(own, bulk_base.__add__))


@lru_cache(maxsize=1024)
def _described(transfer_syntax_uid: str, pixels: PixelDescription | None) -> dict[str, bytes]:
    """What is told of the frames; nobody may change it."""
    made = {"00083002": element("UI", [transfer_syntax_uid]), **_colour(transfer_syntax_uid, pixels)}
    return {tag: dumps(one) for tag, one in made.items()}


def _colour(transfer_syntax_uid: str, pixels: PixelDescription | None) -> JsonObject:
    """How the frames of a colour image lie as they go out by default, whatever file was imported (W-6).

    All forms but RLE have colour by pixel. Of a lossless stored form the decoded one is described, where no
    codec's transform is left; a lossy one goes out as it is stored (W-2).
    """
    stored = transfer_syntax(transfer_syntax_uid)
    if pixels is None or pixels.samples_per_pixel == 1 or stored is None:
        return {}
    told = pixels.photometric_interpretation
    if stored.lossless:
        told = decoded_photometric(stored.uid, pixels)
    return {"00280004": element("CS", [told]), "00280006": element("US", [0])}
