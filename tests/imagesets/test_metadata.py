"""The metadata document's structure (healthimaging.md 2.1, 2.4)."""

import orjson
import pytest

from dicomweb_gateway.dicom.transfer_syntax import HTJ2K_LOSSLESS_RPCL
from dicomweb_gateway.errors import UpstreamFailed
from dicomweb_gateway.imagesets.metadata import parse_document
from dicomweb_gateway.imagesets.store import FrameKey
from tests.imagesets.documents import IMAGE_SET, INSTANCE, SERIES, STORE, STUDY, blob, instance_of

FRAME = {
    "ID": "f" * 32,
    "PixelDataChecksumFromBaseToFullResolution": [
        {"Width": 512, "Height": 375, "Checksum": 4_294_967_295},
        {"Width": 256, "Height": 188, "Checksum": 1},
    ],
    "MinPixelValue": -5,
    "MaxPixelValue": 7,
    "FrameSizeInBytes": 9,
}
IMAGE = {"Rows": "375 ", "Columns": 512, "BitsAllocated": 16, "BitsStored": 12, "PixelRepresentation": 1}


def test_real_ct_document(ahi_documents):
    document = parse_document((ahi_documents / "real-metadata-ct-588-instances.json").read_bytes())
    (series,) = document.series()
    instances = list(series.instances())
    assert len(instances) == 588
    assert {len(instance.frames) for instance in instances} == {1}
    assert {instance.pixels.frame_shape for instance in instances if instance.pixels} == {(512, 512)}
    assert document.study_uid


def test_real_ultrasound_document(ahi_documents):
    document = parse_document((ahi_documents / "real-metadata-us-multiframe-rgb-private.json").read_bytes())
    layouts = [instance.pixels for series in document.series() for instance in series.instances()]
    assert {pixels and pixels.samples_per_pixel for pixels in layouts} == {3}
    assert sorted(pixels.number_of_frames for pixels in layouts if pixels)[-2:] == [1, 14]
    assert {pixels.photometric_interpretation for pixels in layouts if pixels} == {"RGB", "YBR_FULL"}


def test_the_checksum_is_that_of_the_largest_width():
    instance = instance_of(blob(IMAGE, frames=[FRAME]))
    assert instance.frames[0].checksum == 4_294_967_295
    assert (instance.frames[0].width, instance.frames[0].height) == (512, 375)
    (wanted,) = instance.wanted_frames()
    assert wanted.key == FrameKey(STORE, IMAGE_SET, "f" * 32)
    assert (wanted.checksum, wanted.bytes_per_sample) == (4_294_967_295, 2)


LEVELS_IN_TEXT = [
    {"Width": "64", "Checksum": 1},
    {"Width": "128", "Checksum": 2},
    {"Width": 8, "Checksum": 3},
]


@pytest.mark.parametrize(
    ("frames", "checksum"),
    [
        ([{"ID": "a"}], None),
        ([{"ID": "a", "PixelDataChecksumFromBaseToFullResolution": None}], None),
        (
            [{"ID": "a", "PixelDataChecksumFromBaseToFullResolution": [{"Width": 1, "Checksum": -1}]}],
            0xFFFFFFFF,
        ),
        ([{"ID": "a", "PixelDataChecksumFromBaseToFullResolution": [{"Width": 1, "Checksum": "12"}]}], 12),
        ([{"ID": "a", "PixelDataChecksumFromBaseToFullResolution": LEVELS_IN_TEXT}], 2),
    ],
)
def test_checksums_that_are_missing_or_written_otherwise(frames, checksum):
    assert instance_of(blob(IMAGE, frames=frames)).frames[0].checksum == checksum


@pytest.mark.parametrize("frames", [None, []])
def test_no_frames_mean_no_pixels_whatever_the_module_says(frames):
    instance = instance_of(blob(IMAGE, frames=frames))
    assert instance.pixels is None
    assert instance.wanted_frames() == ()


def test_layout_is_read_tolerantly_and_completed():
    pixels = instance_of(blob(IMAGE, frames=[FRAME, FRAME])).pixels
    assert pixels is not None
    assert (pixels.rows, pixels.columns, pixels.number_of_frames) == (375, 512, 2)
    assert (pixels.bits_stored, pixels.high_bit, pixels.pixel_representation) == (12, 11, 1)
    assert pixels.photometric_interpretation == "MONOCHROME2"


def test_frames_that_nobody_describes():
    assert instance_of(blob({}, frames=[FRAME])).pixels is None


@pytest.mark.parametrize("keyword", ["FloatPixelData", "DoubleFloatPixelData"])
def test_float_pixels(keyword):
    pixels = instance_of(blob({**IMAGE, keyword: None}, frames=[FRAME])).pixels
    assert pixels is not None
    assert pixels.keyword == keyword


def test_a_missing_stored_syntax_is_the_services_own():
    assert instance_of(blob(syntax=None)).transfer_syntax_uid == HTJ2K_LOSSLESS_RPCL


def test_lookup_needs_the_right_series():
    document = parse_document(blob())
    assert document.study_uid == STUDY
    assert document.find_instance(SERIES, INSTANCE) is not None
    assert document.find_instance("1.2.3.2", INSTANCE) is None
    assert document.find_instance(SERIES, "1.2.3.1.9") is None


@pytest.mark.parametrize("attributes", [{}, None, {"SOPInstanceUID": None, "SeriesInstanceUID": ""}])
def test_what_is_called_by_a_uid_has_it(attributes):
    raw = {"DICOM": attributes, "Instances": {INSTANCE: {"DICOM": attributes}}}
    study = {"DICOM": {"StudyInstanceUID": STUDY}, "Series": {SERIES: raw}}
    document = parse_document(orjson.dumps({"DatastoreID": STORE, "ImageSetID": IMAGE_SET, "Study": study}))
    found = document.find_instance(SERIES, INSTANCE)
    assert found.tags["SOPInstanceUID"] == INSTANCE
    assert found.series.tags["SeriesInstanceUID"] == SERIES
    assert found.series.attributes(INSTANCE)[0]["SOPInstanceUID"] == INSTANCE


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b"{}",
        b'{"DatastoreID":"d","ImageSetID":"i"}',
        b'{"DatastoreID":"d","ImageSetID":"i","Study":[]}',
        b'{"DatastoreID":"d","ImageSetID":"i","Study":{"Series":[1]}}',
        b'{"DatastoreID":"d","ImageSetID":"i","Study":{"Series":{"1":7}}}',
        b'{"DatastoreID":"d","ImageSetID":"i","Study":{"Series":{"1":{"DICOM":"x"}}}}',
        b'{"DatastoreID":"d","ImageSetID":"i","Study":{"Series":{"1":{"Instances":[1]}}}}',
        b'{"DatastoreID":"d","ImageSetID":"i","Patient":"x","Study":{}}',
    ],
)
def test_nonsense_is_an_upstream_fault(data):
    with pytest.raises(UpstreamFailed, match="schema"):
        parse_document(data)


@pytest.mark.parametrize(
    "frame", [{}, {"ID": "a", "PixelDataChecksumFromBaseToFullResolution": 5}, "x", None]
)
def test_a_malformed_frame_is_an_upstream_fault(frame):
    with pytest.raises(UpstreamFailed, match="schema"):
        instance_of(blob(frames=[frame]))
