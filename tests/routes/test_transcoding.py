"""Other transfer syntaxes than the stored one and ELE, over HTTP (dicomweb.md W-3, W-6, M-5 to M-7, A-9)."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pydicom
import pytest
from pydicom.encaps import generate_frames

from dicomweb_gateway.app import create_app
from dicomweb_gateway.dicom.spool_space import SpoolSpace
from dicomweb_gateway.dicom.transfer_syntax import TRANSFER_SYNTAXES
from dicomweb_gateway.pixels.decoders import decode_frame
from dicomweb_gateway.wado import frames, spool
from tests.pixels.samples_of_files import describe
from tests.routes.archive import (
    BOXED,
    BROKEN,
    CT,
    JPEG,
    OTHER,
    RGB,
    SEG,
    STUDY,
    parts_of,
    path_of,
    rgb_pixels,
    slice_pixels,
)

ROOT = "1.2.840.10008.1.2"
ELE, BASELINE, HTJ2K = f"{ROOT}.1", f"{ROOT}.4.50", f"{ROOT}.4.202"
LOSSLESS = [f"{ROOT}.{tail}" for tail in ("4.90", "4.80", "4.70", "5", "4.201", "4.202")]
DECODED = 'multipart/related; type="application/octet-stream"'


def parts_in(uid):
    return f'multipart/related; type="{TRANSFER_SYNTAXES[uid].media_type}"; transfer-syntax={uid}'


def instance_in(uid):
    return f"application/dicom; transfer-syntax={uid}"


def read(data):
    return pydicom.dcmread(BytesIO(data))


def decoded(response_data):
    """The data set and its frames, decoded by what the file says of itself."""
    dataset = read(response_data)
    pixels = replace(describe(dataset), number_of_frames=1)
    frames = generate_frames(dataset.PixelData, number_of_frames=int(dataset.get("NumberOfFrames", 1)))
    return dataset, [decode_frame(f, dataset.file_meta.TransferSyntaxUID, pixels) for f in frames]


@pytest.mark.parametrize("uid", LOSSLESS)
@pytest.mark.parametrize(
    ("series", "frames", "expected"),
    [
        (CT, "1", lambda: [slice_pixels(1)]),
        (BOXED, "1", lambda: [slice_pixels(1)]),
        (RGB, "2,1", lambda: [rgb_pixels(2), rgb_pixels(1)]),
    ],
)
def test_frames_in_each_lossless_syntax(house, get, uid, series, frames, expected):
    response = get(f"{path_of(series, 1)}/frames/{frames}", parts_in(uid))
    assert response.status_code == 200
    assert int(response.headers["Content-Length"]) == len(response.get_data())
    parts = parts_of(response)
    # M-5: one type and syntax for all parts
    assert {head["Content-Type"] for head, _ in parts} == {
        f"{TRANSFER_SYNTAXES[uid].media_type}; transfer-syntax={uid}"
    }
    pixels = replace(house.services.archive.index.instance(*where(series)).pixels, number_of_frames=1)
    found = [decode_frame(payload, uid, pixels) for _, payload in parts]
    assert all(np.array_equal(a, b) for a, b in zip(found, expected(), strict=True))
    # M-6: ranges of two answers fit together
    assert get(f"{path_of(series, 1)}/frames/{frames}", parts_in(uid)).get_data() == response.get_data()


def where(series):
    return series.rpartition(".")[0], series, f"{series}.1"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("image/jp2", f"image/jp2; transfer-syntax={ROOT}.4.90"),
        ("image/jls", f"image/jls; transfer-syntax={ROOT}.4.80"),
        ("image/jpeg", f"image/jpeg; transfer-syntax={ROOT}.4.70"),
        ("image/dicom-rle", f"image/dicom-rle; transfer-syntax={ROOT}.5"),
        ("image/*", f"image/jphc; transfer-syntax={HTJ2K}"),
    ],
)
def test_a_frame_alone_in_the_lossless_default_of_its_type(get, accept, kind):
    response = get(f"{path_of(CT, 1)}/frames/1", accept)
    assert response.content_type == kind
    assert int(response.headers["Content-Length"]) == len(response.get_data())
    head = get(f"{path_of(CT, 1)}/frames/1", accept, method="HEAD")
    assert (head.headers["Content-Length"], head.get_data()) == (response.headers["Content-Length"], b"")


def test_a_stored_rpcl_frame_is_htj2k_lossless_as_it_stands(house, get):
    ((_, payload),) = parts_of(get(f"{path_of(CT, 1)}/frames/1", parts_in(f"{ROOT}.4.201")))
    assert payload == house.frames.frames[house.key(CT)]
    found = read(get(path_of(CT, 1), instance_in(f"{ROOT}.4.201")).get_data())
    assert found.file_meta.TransferSyntaxUID == f"{ROOT}.4.201"


def test_byte_ranges_of_a_frame_coded_anew_fit_together(get):
    path = f"{path_of(CT, 1)}/frames/1"
    whole = get(path, parts_in(f"{ROOT}.4.80"))
    size = len(whole.get_data())
    ranges = ("bytes=0-999", f"bytes=1000-{size - 1}")
    halves = [get(path, parts_in(f"{ROOT}.4.80"), Range=wanted) for wanted in ranges]
    assert [half.status_code for half in halves] == [206, 206]
    assert b"".join(half.get_data() for half in halves) == whole.get_data()


@pytest.mark.parametrize("path", [f"{path_of(CT, 1)}/frames/1", path_of(CT, 1)])
def test_another_version_of_the_encoders_is_another_answer(get, monkeypatch, path):
    """M-6: the ranges of the two do not fit together."""
    kinds = [("*", True), (ELE, True), (f"{ROOT}.4.80", False)]

    def tags():
        single = "application/dicom" if "frames" not in path else "application/octet-stream"
        return [get(path, f"{single}; transfer-syntax={uid}").headers["ETag"] for uid, _ in kinds]

    before = tags()
    monkeypatch.setattr(frames, "CODECS", "imagecodecs of tomorrow")
    assert [old == new for old, new in zip(before, tags(), strict=True)] == [same for _, same in kinds]


def test_resolution_levels_are_those_of_what_is_stored(get):
    response = get(f"{path_of(CT, 1)}/frames/1?endLevel=0", parts_in(f"{ROOT}.4.90"))
    assert response.status_code == 400
    assert "stored codestream" in response.get_json()["message"]


@pytest.mark.parametrize("uid", LOSSLESS)
def test_grey_instances(get, uid):
    response = get(path_of(CT, 1), instance_in(uid))
    assert response.content_type == instance_in(uid)
    assert int(response.headers["Content-Length"]) == len(response.get_data())
    dataset, (frame,) = decoded(response.get_data())
    assert dataset.file_meta.TransferSyntaxUID == uid
    assert dataset.PhotometricInterpretation == "MONOCHROME2"
    assert np.array_equal(frame, slice_pixels(1))


@pytest.mark.parametrize("uid", LOSSLESS)
def test_colour_instances_say_what_their_bytes_are(get, uid):
    dataset, frames = decoded(get(path_of(RGB, 1), instance_in(uid)).get_data())
    in_wavelets = TRANSFER_SYNTAXES[uid].family in ("j2k", "htj2k")
    assert dataset.PhotometricInterpretation == ("YBR_RCT" if in_wavelets else "RGB")
    assert dataset.PlanarConfiguration == int(uid == f"{ROOT}.5")
    assert "LossyImageCompression" not in dataset
    assert np.array_equal(np.stack(frames), np.stack([rgb_pixels(1), rgb_pixels(2)]))


def test_stored_colour_has_no_planes(get):
    """W-6: HealthImaging's metadata keeps what the imported file said."""
    found = read(get(path_of(RGB, 1), instance_in("*")).get_data())
    assert (found.PhotometricInterpretation, found.PlanarConfiguration) == ("YBR_RCT", 0)


def test_pydicom_reads_rle_instances(get):
    found = read(get(path_of(RGB, 1), instance_in(f"{ROOT}.5")).get_data())
    found.pixel_array_options(decoding_plugin="pydicom")
    assert np.array_equal(found.pixel_array, np.stack([rgb_pixels(1), rgb_pixels(2)]))


def test_jpeg_baseline_says_that_it_is_lossy(get):
    """PS3.3 C.7.6.1.1.2, C.7.6.1.1.5; the UID is that of the instance that was asked for."""
    data = get(path_of(RGB, 1), instance_in(BASELINE)).get_data()
    dataset, frames = decoded(data)
    assert (dataset.PhotometricInterpretation, dataset.PlanarConfiguration) == ("YBR_FULL_422", 0)
    assert (dataset.LossyImageCompression, dataset.LossyImageCompressionMethod) == ("01", "ISO_10918_1")
    coded = sum(map(len, generate_frames(dataset.PixelData, number_of_frames=2)))
    assert float(dataset.LossyImageCompressionRatio) == pytest.approx(2 * 66 * 70 * 3 / coded, abs=0.02)
    assert list(dataset.ImageType) == ["DERIVED", "PRIMARY"]
    assert dataset.SOPInstanceUID == f"{RGB}.1"
    assert frames[0].shape == (66, 70, 3)


@pytest.mark.parametrize("series", [CT, SEG])
def test_jpeg_baseline_is_for_images_of_8_bits(get, series):
    assert get(f"{path_of(series, 1)}/frames/1", parts_in(BASELINE)).status_code == 406
    assert get(path_of(series, 1), instance_in(BASELINE)).status_code == 406


def test_what_is_stored_lossy_can_be_coded_losslessly_when_asked(get):
    ((_, pixels),) = parts_of(get(f"{path_of(JPEG, 1)}/frames/1", DECODED))
    _, (frame,) = decoded(get(path_of(JPEG, 1), instance_in(f"{ROOT}.4.80")).get_data())
    assert frame.tobytes() == pixels


def test_refusals_name_every_syntax_that_there_is(get):
    """A-9."""
    message = get(f"{path_of(CT, 1)}/frames/1", "text/html").get_json()["message"]
    assert all(f"transfer-syntax={uid}" in message for uid in [ELE, *LOSSLESS])
    assert BASELINE not in message
    packed = get(f"{path_of(SEG, 1)}/frames/1", "text/html").get_json()["message"]
    assert "image/jp2" not in packed


def test_an_undecodable_frame_is_406_in_every_other_syntax(get):
    assert get(f"{path_of(BROKEN, 1)}/frames/1", parts_in(f"{ROOT}.4.90")).status_code == 406
    assert get(path_of(BROKEN, 1), instance_in(f"{ROOT}.4.90")).status_code == 406


def test_a_series_and_a_study_in_another_syntax(house, get):
    accept = f'multipart/related; type="application/dicom"; transfer-syntax={ROOT}.4.80'
    response = get(path_of(CT), accept)
    assert response.status_code == 200
    found = [decoded(payload)[1][0] for _, payload in parts_of(response)]
    assert all(np.array_equal(frame, slice_pixels(n)) for n, frame in enumerate(found, 1))
    # an instance without pixels is the same in every syntax
    parts = parts_of(get(f"/aetitle/studies/{STUDY}", accept))
    assert {head["Content-Type"].rpartition("=")[2] for head, _ in parts} == {f"{ROOT}.4.80", ELE}
    # a damaged instance stands behind the first one, so only the beginning is read
    with house.app.test_client().get(f"/aetitle/studies/{OTHER}", headers={"Accept": accept}) as begun:
        assert begun.status_code == 206


def test_large_answers_wait_on_the_disk_and_a_full_disk_is_503(fresh, tmp_path, monkeypatch):
    monkeypatch.setattr(spool, "IN_MEMORY", 1000)
    client = fresh.app.test_client()
    path, asked = f"{path_of(RGB, 1)}/frames", {"Accept": parts_in(f"{ROOT}.4.80")}
    assert client.get(path, headers=asked).status_code == 200
    archive = replace(fresh.services.archive, spools=SpoolSpace(tmp_path / "spool", min_free_bytes=1 << 60))
    client = create_app(replace(fresh.services, archive=archive)).test_client()
    for refused in (
        client.get(path, headers=asked),
        client.get(path_of(RGB, 1), headers={"Accept": instance_in(f"{ROOT}.4.80")}),
    ):
        assert refused.status_code == 503
        assert "too full" in refused.get_json()["message"]
    assert client.get(path, headers={"Accept": DECODED}).status_code == 200
