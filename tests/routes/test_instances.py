"""Whole instances over HTTP, read with pydicom (dicomweb.md W-1 to W-8, W-10 to W-12, M-7, M-8)."""

import zipfile
from io import BytesIO

import numpy as np
import pydicom
import pytest
from pydicom.encaps import generate_frames

from dicomweb_gateway.errors import CorruptFrame
from tests.routes.archive import (
    BROKEN,
    CT,
    JPEG,
    OTHER,
    PDF,
    PDF_BYTES,
    RGB,
    SEG,
    SR,
    STUDY,
    build,
    jpeg_bytes,
    parts_of,
    path_of,
    rgb_pixels,
    segment_bits,
    slice_pixels,
)

ELE, HTJ2K, BASELINE = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.50"
PARTS = 'multipart/related; type="application/dicom"'
WEASIS = 'multipart/related;type="application/dicom";transfer-syntax=*'


def read(data):
    return pydicom.dcmread(BytesIO(data))


def uids(parts):
    return [read(payload).SOPInstanceUID for _, payload in parts]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"/aetitle/studies/{STUDY}", [f"{CT}.1", f"{CT}.2", f"{CT}.3", f"{SR}.1"]),
        (path_of(CT), [f"{CT}.1", f"{CT}.2", f"{CT}.3"]),
        (path_of(CT, 2), [f"{CT}.2"]),
    ],
)
@pytest.mark.parametrize("accept", [None, 'multipart/related; type="application/dicom"', WEASIS])
def test_all_instances_below_a_path_in_viewing_order(get, path, accept, expected):
    response = get(path, accept)
    assert response.status_code == 200
    assert 'type="application/dicom"' in response.content_type
    parts = parts_of(response)
    assert uids(parts) == expected
    assert [head["Content-Location"].rpartition("/")[2] for head, _ in parts] == expected
    assert all(head["Content-Location"].startswith("/aetitle/studies/") for head, _ in parts)


FORMS = [
    ("W-1 default", CT, None, ELE),
    ("W-1 as stored", CT, "application/dicom; transfer-syntax=*", HTJ2K),
    ("W-1 the stored UID", CT, f"application/dicom; transfer-syntax={HTJ2K}", HTJ2K),
    ("W-2 lossy stays", JPEG, "application/dicom", BASELINE),
    ("W-1 lossy to ELE", JPEG, f"application/dicom; transfer-syntax={ELE}", ELE),
    ("W-12 SR", SR, "application/dicom; transfer-syntax=*", ELE),
    ("native stored", SEG, "application/dicom; transfer-syntax=*", ELE),
]


@pytest.mark.parametrize(
    ("series", "accept", "syntax"), [row[1:] for row in FORMS], ids=[row[0] for row in FORMS]
)
def test_the_file_is_in_the_syntax_it_names(get, series, accept, syntax):
    response = get(path_of(series, 1), accept)
    assert response.status_code == 200
    assert int(response.headers["Content-Length"]) == len(response.get_data())
    if accept:
        assert response.content_type == f"application/dicom; transfer-syntax={syntax}"
        data = response.get_data()
    else:
        ((head, data),) = parts_of(response)
        assert head["Content-Type"] == f"application/dicom; transfer-syntax={syntax}"
    assert read(data).file_meta.TransferSyntaxUID == syntax


PIXELS = [
    (CT, lambda: slice_pixels(1)),
    (RGB, lambda: np.stack([rgb_pixels(1), rgb_pixels(2)])),
    (SEG, lambda: np.stack([segment_bits(n) for n in (1, 2, 3)])),
]


@pytest.mark.parametrize(("series", "expected"), PIXELS)
def test_decoded_pixels_are_those_of_the_source(get, series, expected):
    found = read(get(path_of(series, 1), "application/dicom").get_data())
    assert np.array_equal(found.pixel_array, expected())
    if series == RGB:
        assert (found.PhotometricInterpretation, found.PlanarConfiguration) == ("RGB", 0)


@pytest.mark.parametrize("series", [CT, RGB])
def test_stored_frames_are_fragments_as_they_are(house, get, series):
    found = read(get(path_of(series, 1), "application/dicom; transfer-syntax=*").get_data())
    count = int(found.get("NumberOfFrames", 1))
    stored = [house.frames.frames[house.key(series, 1, n)] for n in range(1, count + 1)]
    fragments = list(generate_frames(found.PixelData, number_of_frames=count))
    assert [fragment[: len(frame)] for fragment, frame in zip(fragments, stored, strict=True)] == stored
    assert all(len(fragment) % 2 == 0 for fragment in fragments)
    # W-6: the codestream carries the reversible colour transform
    assert found.PhotometricInterpretation == ("YBR_RCT" if series == RGB else "MONOCHROME2")


def test_packed_frames_are_joined_bit_by_bit_also_when_they_are_stored_so(get):
    found = read(get(path_of(SEG, 1), "application/dicom; transfer-syntax=*").get_data())
    assert np.array_equal(found.pixel_array, PIXELS[2][1]())


def test_stored_lossy_frames_are_wrapped_not_decoded(get):
    found = read(get(path_of(JPEG, 1), "application/dicom").get_data())
    (frame,) = generate_frames(found.PixelData, number_of_frames=1)
    assert frame.rstrip(b"\0") == jpeg_bytes().rstrip(b"\0")


def test_attributes_are_those_of_all_levels(get):
    found = read(get(path_of(CT, 1), "application/dicom").get_data())
    assert (str(found.PatientName), found.PatientID, found.StudyDate) == ("Müller^Jörg", "P1", "20240311")
    assert found.SpecificCharacterSet == "ISO_IR 192"
    assert (found["00090010"].value, found["00091002"].value) == ("MAKER", b"\0\1\2\0")
    assert found.RequestAttributesSequence[1]["00090010"].value == "MAKER"
    tags = [int(tag) for tag in found._dict]
    assert tags == sorted(tags)


def test_instances_without_pixels(get):
    assert "PixelData" not in read(get(path_of(SR, 1), "application/dicom").get_data())
    document = read(get(path_of(PDF, 1), "application/dicom").get_data())
    assert document.EncapsulatedDocument.rstrip(b"\0") == PDF_BYTES


def test_the_body_is_that_of_many_instances_without_flasks_request(house):
    """A server reads the body after the view has returned."""
    with house.app.test_request_context(path_of(CT)):
        response = house.app.full_dispatch_request()
    pieces = list(response.iter_encoded())
    assert sum(piece.count(b"DICM") for piece in pieces) == 3
    assert len(pieces) > 3


def test_a_client_that_leaves_stops_the_work(fresh):
    with fresh.app.test_request_context(path_of(CT)):
        response = fresh.app.full_dispatch_request()
    next(iter(response.iter_encoded()))
    response.close()
    assert fresh.frames.asked == [fresh.key(CT)]


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        (path_of(CT), "application/dicom"),
        (f"/aetitle/studies/{STUDY}", "application/dicom"),
        (path_of(CT, 1), "application/dicom; transfer-syntax=1.2.840.10008.1.2"),
        (path_of(CT, 1), "multipart/related; type=application/dicom; transfer-syntax=1.2.840.10008.1.2.4.91"),
        (path_of(CT), "multipart/related; type=application/dicom; transfer-syntax=1.2.840.10008.1.2.4.91"),
        (path_of(SEG), "multipart/related; type=application/dicom; transfer-syntax=1.2.840.10008.1.2.4.90"),
        (path_of(CT, 1), "application/zip"),
    ],
)
def test_refusals_name_what_could_be_served(get, path, accept):
    response = get(path, accept)
    assert response.status_code == 406
    assert "transfer-syntax=*" in response.get_json()["message"]


def test_an_undecodable_instance_is_406_decoded_and_200_as_stored(house, get):
    assert get(path_of(BROKEN, 1), "application/dicom").status_code == 406
    stored = read(get(path_of(BROKEN, 1), "application/dicom; transfer-syntax=*").get_data())
    assert house.frames.frames[house.key(BROKEN)] in stored.PixelData


def test_what_cannot_be_made_is_left_out_and_named(get):
    response = get(
        f"/aetitle/studies/{OTHER}", f"multipart/related; type=application/dicom; transfer-syntax={HTJ2K}"
    )
    assert response.status_code == 206
    # a packed segmentation has no lossless coding; the JPEG image is decoded and coded again
    assert response.headers["Warning"] == f'299 - "1 instances left out: {SEG}.1"'
    sent = uids(parts_of(response))
    assert f"{SEG}.1" not in sent
    assert f"{JPEG}.1" in sent


def test_a_failure_before_the_first_byte_is_an_error(fresh):
    fresh.frames.frames[fresh.key(CT)] = RuntimeError("gone")
    assert fresh.app.test_client().get(path_of(CT)).status_code == 500


def test_a_failure_later_cuts_the_answer_short(fresh):
    fresh.frames.frames[fresh.key(CT, 2)] = RuntimeError("gone")
    response = fresh.app.test_client().get(path_of(CT))
    assert response.status_code == 200
    with pytest.raises(RuntimeError, match="gone"):
        response.get_data()


def test_the_next_instances_are_fetched_ahead(fresh):
    fresh.app.test_client().get(path_of(CT)).get_data()
    assert fresh.frames.prefetched[:2] == [fresh.key(CT, 2), fresh.key(CT, 3)]


def test_what_is_too_large_to_be_retrieved_at_once_is_413(tmp_path):
    """W-10: the slices have 3 x 96 x 80 x 2 bytes."""
    client = build(tmp_path, max_retrieve_bytes=46_079).app.test_client()
    for tail in ("", "/pixeldata"):
        answer = client.get(f"{path_of(CT)}{tail}")
        assert answer.status_code == 413
        assert "46080 bytes" in answer.json["message"]
    assert client.get(path_of(CT, 1)).status_code == 200
    (tmp_path / "larger").mkdir()
    allowed = build(tmp_path / "larger", max_retrieve_bytes=46_080).app.test_client()
    assert allowed.get(path_of(CT)).status_code == 200


def archived(answer):
    with zipfile.ZipFile(BytesIO(answer.data)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("path", [path_of(CT), f"/aetitle/studies/{STUDY}"])
def test_a_zip_archive_holds_the_same_files(get, path):
    answer = get(f"{path}?accept=application/zip")
    assert answer.content_type == "application/zip"
    assert answer.headers["Content-Disposition"].endswith('.zip"')
    files = archived(answer)
    assert files[f"{CT}/{CT}.2.dcm"] == get(path_of(CT, 2), "application/dicom").data
    assert len(files) == len(parts_of(get(path)))
    assert get(f"{path}?accept=application/zip").data == answer.data


def test_an_archive_holds_stored_files_too(get):
    answer = get(path_of(CT), "application/zip; transfer-syntax=*")
    stored = get(path_of(CT, 1), "application/dicom; transfer-syntax=*").data
    assert archived(answer)[f"{CT}/{CT}.1.dcm"] == stored


def test_archives_are_asked_for_by_name_and_hold_several(get):
    assert get(path_of(CT), "application/*").content_type.startswith("multipart/related")
    assert get(path_of(CT), f"{PARTS}, application/zip").content_type.startswith("multipart/related")
    refused = get(path_of(CT, 1), "application/zip")
    assert refused.status_code == 406
    assert "application/dicom" in refused.json["message"]
    assert "application/zip" in get(path_of(CT), "application/pdf").json["message"]


def test_an_archive_without_a_bad_instance_is_206(fresh):
    fresh.frames.frames[fresh.key(CT, 1)] = CorruptFrame("its CRC-32 is wrong")
    answer = fresh.app.test_client().get(f"{path_of(CT)}?accept=application/zip;transfer-syntax=*")
    assert answer.status_code == 206
    assert f"{CT}.1" in answer.headers["Warning"]
    assert len(archived(answer)) == 2
