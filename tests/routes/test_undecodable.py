"""Frames that cannot be decoded: the stored bytes still go out, decoding is a 406 with the reason (W-10).

The frames stand in for what a fetcher lets through: no checksum known, or the same undecodable bytes twice.
"""

import imagecodecs
import numpy as np
import pytest

from dicomweb_gateway.dicom.transfer_syntax import HTJ2K_LOSSLESS_RPCL, JPEG_BASELINE
from dicomweb_gateway.errors import CorruptFrame, DecodersUnavailable, UndecodablePixels
from dicomweb_gateway.imagesets.metadata import parse_document
from dicomweb_gateway.imagesets.store import FrameKey
from dicomweb_gateway.index.writer import IndexWriter
from dicomweb_gateway.pixels import decoders
from dicomweb_gateway.pixels.encoders import encode_htj2k
from dicomweb_gateway.web.lenient import PREFERENCE
from tests.routes.archive import (
    STORE,
    build,
    hex_id,
    image,
    image_set,
    jpeg_bytes,
    parts_of,
    path_of,
    slice_pixels,
)

STUDY = "1.2.30"
JPEG_LS, UNKNOWN, J2K = "1.2.840.10008.1.2.4.80", "1.2.3.4.5", "1.2.840.10008.1.2.4.90"
GOOD = encode_htj2k(slice_pixels(1))
WHOLE_JPEG = jpeg_bytes()
PLAIN, SMALL = image(slice_pixels(1)), image(np.zeros((16, 24), np.uint8))

# name: (image tags, stored syntax, stored frame, status of the stored frame, reason why it is not decoded)
CASES = {
    "cut HTJ2K": (PLAIN, HTJ2K_LOSSLESS_RPCL, GOOD[: len(GOOD) // 2], 200, "cut short"),
    "damaged HTJ2K": (PLAIN, HTJ2K_LOSSLESS_RPCL, GOOD[:135] + b"\xa5" * 100 + GOOD[235:], 200, "damaged"),
    "HTJ2K of another size": (
        {**PLAIN, "Rows": 97},
        HTJ2K_LOSSLESS_RPCL,
        GOOD,
        200,
        "description says 80x97",
    ),
    "HTJ2K of another kind": (image(slice_pixels(1), BitsAllocated=8), HTJ2K_LOSSLESS_RPCL, GOOD, 200, "fit"),
    "garbage for HTJ2K": (PLAIN, HTJ2K_LOSSLESS_RPCL, b"garbage" * 40, 502, "neither"),
    "nothing for HTJ2K": (PLAIN, HTJ2K_LOSSLESS_RPCL, b"", 502, "neither"),
    "garbage for JPEG 2000": (PLAIN, J2K, b"garbage" * 40, 502, "neither"),
    "cut JPEG": (SMALL, JPEG_BASELINE, WHOLE_JPEG[:-40], 200, "cut short"),
    "garbage for JPEG": (SMALL, JPEG_BASELINE, b"garbage" * 40, 200, "no frame header"),
    "garbage for JPEG-LS": (SMALL, JPEG_LS, b"garbage" * 40, 200, "no frame header"),
    "unknown syntax": (PLAIN, UNKNOWN, b"who knows" * 9, 200, "no decoder"),
}
NUMBERS = {name: number for number, name in enumerate(CASES, 1)}
MIXED = f"{STUDY}.{len(CASES) + 1}"
STORED = "multipart/related; type=application/octet-stream; transfer-syntax=*"
DECODED = 'multipart/related; type="application/octet-stream"; transfer-syntax=1.2.840.10008.1.2.1'
FILES = 'multipart/related; type="application/dicom"; transfer-syntax='
ELE_FILES, STORED_FILES = f"{FILES}1.2.840.10008.1.2.1", f"{FILES}*"


def add_series(house, series: str, instances: list[dict]) -> None:
    blob = image_set(series, instances)
    house.image_sets.documents[hex_id("set", series)] = blob
    IndexWriter(str(house.engine.url)).put(parse_document(blob), version=1, is_primary=True, updated_at=None)
    for number, instance in enumerate(instances, 1):
        key = FrameKey(STORE, hex_id("set", series), hex_id("frame", series, number, 1))
        house.frames.frames[key] = instance["frames"][0]


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    """A gateway with a series for each case, and one that has bad and good instances."""
    house = build(tmp_path_factory.mktemp("bad"))
    for name, (tags, syntax, frame, _, _) in CASES.items():
        add_series(house, f"{STUDY}.{NUMBERS[name]}", [{"tags": tags, "syntax": syntax, "frames": [frame]}])
    cut = {"tags": PLAIN, "frames": [GOOD[:-100]]}
    add_series(house, MIXED, [cut, {"tags": PLAIN, "frames": [GOOD]}, cut])
    return house


def ask(house, path: str, accept: str | None = None):
    return house.app.test_client().get(path, headers={"Accept": accept} if accept else {})


@pytest.mark.parametrize("name", CASES)
def test_stored_frames_go_out_as_they_are(bad, name):
    _, _, frame, status, _ = CASES[name]
    response = ask(bad, f"{path_of(f'{STUDY}.{NUMBERS[name]}', 1)}/frames/1", STORED)
    assert response.status_code == status
    if status == 200:
        assert parts_of(response)[0][1] == frame
    else:
        assert "codestream" in response.get_json()["message"]


@pytest.mark.parametrize(
    ("suffix", "accept"),
    [
        ("/frames/1", DECODED),
        ("/bulkdata/7FE00010", DECODED),
        ("", ELE_FILES),
        ("", "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"),
        ("/rendered", "image/png"),
        ("/frames/1/rendered", "image/jpeg"),
        ("/thumbnail", None),
        ("/frames/1/thumbnail", None),
    ],
)
@pytest.mark.parametrize("name", CASES)
def test_decoding_is_refused_with_the_reason(bad, name, suffix, accept):
    response = ask(bad, f"{path_of(f'{STUDY}.{NUMBERS[name]}', 1)}{suffix}", accept)
    assert response.status_code == 406
    assert response.get_json()["status"] == 406
    if CASES[name][1] == UNKNOWN and suffix in ("/frames/1", "/bulkdata/7FE00010", ""):
        # what nobody can decode is not offered in any other form
        assert "transfer-syntax=*" in response.get_json()["message"]
        return
    assert CASES[name][4] in response.get_json()["message"]


@pytest.mark.parametrize("suffix", ["/thumbnail", "/frames/1/rendered", "/frames/1/levels/last"])
def test_pages_may_have_a_refusal_as_an_empty_answer(bad, suffix):
    """RFC 7240: only who prefers it, and the answer is kept by nobody."""
    path = path_of(f"{STUDY}.{NUMBERS['cut HTJ2K']}", 1) + suffix
    client = bad.app.test_client()
    told = client.get(path, headers={"Prefer": "return=minimal, Handling=Lenient"})
    assert (told.status_code, told.get_data()) == (204, b"")
    assert "cut short" in told.headers["Warning"]
    assert told.headers["Preference-Applied"] == "handling=lenient"
    assert told.headers["Cache-Control"] == "no-store"
    assert "Prefer" in told.headers["Vary"]
    assert client.get(path, headers={"Prefer": "handling=strict"}).status_code == 406
    assert client.get(path.replace("1.2.30", "1.2.99"), headers={"Prefer": PREFERENCE}).status_code == 404


def test_a_series_is_given_without_its_bad_instances(bad):
    """W-10: one that fails while the answer is under way cuts it, and is left out of the next answer."""
    first = ask(bad, path_of(MIXED), ELE_FILES)
    assert first.status_code == 206
    assert first.headers["Warning"] == f'299 - "1 instances left out: {MIXED}.1"'
    with pytest.raises(UndecodablePixels):
        first.get_data()
    again = ask(bad, path_of(MIXED), ELE_FILES)
    assert again.status_code == 206
    assert again.headers["Warning"] == f'299 - "2 instances left out: {MIXED}.1, {MIXED}.3"'
    ((_, payload),) = parts_of(again)
    assert slice_pixels(1).astype("<i2").tobytes() in payload


def test_a_series_of_nothing_good_says_why(bad):
    response = ask(bad, path_of(f"{STUDY}.{NUMBERS['cut HTJ2K']}"), ELE_FILES)
    assert response.status_code == 406
    assert "cut short" in response.get_json()["message"]


def test_files_as_stored_hold_the_bad_frames(bad):
    response = ask(bad, path_of(MIXED), STORED_FILES)
    assert response.status_code == 200
    assert [GOOD[:-100] in payload for _, payload in parts_of(response)] == [True, True, True]
    assert GOOD in parts_of(response)[1][1]


def test_a_frame_that_fails_its_checksum_is_502_everywhere(fresh):
    series = f"{STUDY}.1"
    add_series(fresh, series, [{"tags": PLAIN, "frames": [GOOD]}])
    key = FrameKey(STORE, hex_id("set", series), hex_id("frame", series, 1, 1))
    fresh.frames.frames[key] = CorruptFrame("the frame does not have the CRC-32 that its metadata states")
    one = path_of(series, 1)
    requests = [
        *(
            (f"{one}/{frames}", accept)
            for frames in ("frames/1", "bulkdata/7FE00010")
            for accept in (STORED, DECODED)
        ),
        *((path, accept) for path in (one, path_of(series)) for accept in (STORED_FILES, ELE_FILES)),
        *((f"{one}/{picture}", None) for picture in ("rendered", "frames/1/rendered", "thumbnail")),
    ]
    for path, accept in requests:
        response = ask(fresh, path, accept)
        assert (path, response.status_code) == (path, 502)
        assert "CRC-32" in response.get_json()["message"]


def test_busy_decoders_are_503_with_advice(fresh, monkeypatch):
    """Nothing is wrong with the frame, so the client should come again."""
    series, samples = f"{STUDY}.1", slice_pixels(1)
    coded = imagecodecs.jpeg2k_encode(samples, level=0, codecformat="J2K", reversible=True)
    add_series(fresh, series, [{"tags": PLAIN, "syntax": J2K, "frames": [coded]}])
    path = f"{path_of(series, 1)}/frames/1"
    assert parts_of(ask(fresh, path, DECODED))[0][1] == samples.astype("<i2").tobytes()

    def busy(*_: object, **__: object):
        raise DecodersUnavailable("every decoder is busy")

    monkeypatch.setattr(decoders, "guarded", busy)
    response = ask(fresh, path, DECODED)
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
