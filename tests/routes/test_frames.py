"""Frames and bulk data over HTTP (dicomweb.md M-1 to M-7, F-1 to F-6, B-1 to B-4, W-2, W-11, H-5)."""

import email

import numpy as np
import pytest

from dicomweb_gateway.web.hardening import DOCUMENT_POLICY
from tests.routes.archive import (
    BOXED,
    BROKEN,
    BULK,
    CT,
    HTML,
    JPEG,
    PDF,
    PDF_BYTES,
    RGB,
    SEG,
    SR,
    UNNAMED,
    build,
    jpeg_bytes,
    parts_of,
    path_of,
    rgb_pixels,
    segment_bits,
    slice_pixels,
)

ELE, HTJ2K, BASELINE = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.50"
OHIF = "multipart/related; type=application/octet-stream; transfer-syntax=*"
DECODED = 'multipart/related; type="application/octet-stream"'


def native(array):
    return array.astype(array.dtype.newbyteorder("<")).tobytes()


def packed(number):
    return np.packbits(segment_bits(number).reshape(-1), bitorder="little").tobytes()


ANSWERS = [
    (
        "F-4 decoded",
        CT,
        "1",
        DECODED,
        f"application/octet-stream; transfer-syntax={ELE}",
        lambda h: [native(slice_pixels(1))],
    ),
    (
        "A-6 dwc-py",
        CT,
        "1",
        'multipart/related; type="*/*"',
        f"application/octet-stream; transfer-syntax={ELE}",
        lambda h: [native(slice_pixels(1))],
    ),
    (
        "L-3 OHIF",
        CT,
        "1",
        OHIF,
        f"image/jphc; transfer-syntax={HTJ2K}",
        lambda h: [h.frames.frames[h.key(CT)]],
    ),
    (
        "F-1 order of the list",
        RGB,
        "2,1",
        DECODED,
        f"application/octet-stream; transfer-syntax={ELE}",
        lambda h: [native(rgb_pixels(2)), native(rgb_pixels(1))],
    ),
    (
        "F-1 escaped comma",
        RGB,
        "2%2C1",
        DECODED,
        f"application/octet-stream; transfer-syntax={ELE}",
        lambda h: [native(rgb_pixels(2)), native(rgb_pixels(1))],
    ),
    (
        "F-1 list as stored",
        RGB,
        "2,1",
        OHIF,
        f"image/jphc; transfer-syntax={HTJ2K}",
        lambda h: [h.frames.frames[h.key(RGB, 1, n)] for n in (2, 1)],
    ),
    (
        "F-5 packed bits",
        SEG,
        "3,1",
        DECODED,
        f"application/octet-stream; transfer-syntax={ELE}",
        lambda h: [packed(3), packed(1)],
    ),
    ("W-2 lossy", JPEG, "1", None, f"image/jpeg; transfer-syntax={BASELINE}", lambda h: [jpeg_bytes()]),
    (
        "F-6 boxes are taken off",
        BOXED,
        "1",
        OHIF,
        f"image/jphc; transfer-syntax={HTJ2K}",
        lambda h: [h.frames.frames[h.key(CT)]],
    ),
    (
        "boxed frames decode too",
        BOXED,
        "1",
        DECODED,
        f"application/octet-stream; transfer-syntax={ELE}",
        lambda h: [native(slice_pixels(1))],
    ),
]


@pytest.mark.parametrize(
    ("series", "frames", "accept", "kind", "expected"),
    [row[1:] for row in ANSWERS],
    ids=[row[0] for row in ANSWERS],
)
def test_frames(house, get, series, frames, accept, kind, expected):
    response = get(f"{path_of(series, 1)}/frames/{frames}", accept)
    assert response.status_code == 200
    parts = parts_of(response)
    assert [payload for _, payload in parts] == expected(house)
    assert {head["Content-Type"] for head, _ in parts} == {kind}
    assert int(response.headers["Content-Length"]) == len(response.get_data())
    assert f'type="{kind.partition(";")[0]}"' in response.content_type
    # W-11: an absolute path without host
    numbers = frames.replace("%2C", ",").split(",")
    assert [head["Content-Location"] for head, _ in parts] == [
        f"{path_of(series, 1)}/frames/{n}" for n in numbers
    ]
    message = email.message_from_bytes(
        f"Content-Type: {response.content_type}\r\n\r\n".encode() + response.get_data()
    )
    assert len(message.get_payload()) == len(parts)


def test_without_a_list_all_frames_come(get):
    payloads = [payload for _, payload in parts_of(get(f"{path_of(RGB, 1)}/frames", DECODED))]
    assert payloads == [native(rgb_pixels(1)), native(rgb_pixels(2))]


LISTS = [
    ("F-2 zero", CT, "0", 400),
    ("F-2 negative", CT, "-1", 400),
    ("F-2 no number", CT, "a", 400),
    ("F-2 empty member", RGB, "1,,2", 400),
    ("F-2 duplicate", RGB, "1,1", 400),
    ("F-2 past the last", CT, "2", 404),
    ("F-2 one of them past the last", RGB, "1,3", 404),
    ("F-2 no pixel data", SR, "1", 404),
    ("F-3 too many", RGB, ",".join(map(str, range(1, 1002))), 413),
]


@pytest.mark.parametrize(
    ("series", "frames", "status"), [row[1:] for row in LISTS], ids=[row[0] for row in LISTS]
)
def test_lists_that_cannot_be_served(get, series, frames, status):
    assert get(f"{path_of(series, 1)}/frames/{frames}").status_code == status


def test_an_instance_without_pixels_has_no_frames(get):
    assert get(f"{path_of(SR, 1)}/frames").status_code == 404


@pytest.mark.parametrize(
    ("accept", "kind", "expected"),
    [
        (
            "application/octet-stream",
            f"application/octet-stream; transfer-syntax={ELE}",
            lambda h: native(slice_pixels(1)),
        ),
        (
            "application/octet-stream; transfer-syntax=*",
            f"image/jphc; transfer-syntax={HTJ2K}",
            lambda h: h.frames.frames[h.key(CT)],
        ),
        ("image/jhc", f"image/jphc; transfer-syntax={HTJ2K}", lambda h: h.frames.frames[h.key(CT)]),
    ],
)
def test_one_frame_alone(house, get, accept, kind, expected):
    response = get(f"{path_of(CT, 1)}/frames/1", accept)
    assert response.content_type == kind
    assert response.get_data() == expected(house)
    assert response.headers["Content-Location"] == f"{path_of(CT, 1)}/frames/1"


def test_the_accept_parameter_beats_the_header(house, get):
    response = get(f"{path_of(CT, 1)}/frames/1?accept=image/jhc", DECODED)
    assert response.get_data() == house.frames.frames[house.key(CT)]


@pytest.mark.parametrize(
    ("series", "frames", "accept"),
    [
        (RGB, "1,2", "application/octet-stream"),
        (CT, "1", "multipart/related; type=application/octet-stream; transfer-syntax=1.2.840.10008.1.2"),
        (CT, "1", "multipart/related; type=image/jpx"),
        (SEG, "1", "multipart/related; type=image/jp2"),
        (CT, "1", "text/html"),
    ],
)
def test_refusals_name_what_could_be_served(get, series, frames, accept):
    response = get(f"{path_of(series, 1)}/frames/{frames}", accept)
    assert response.status_code == 406
    assert "application/octet-stream" in response.get_json()["message"]
    assert "Accept" in response.vary


def test_an_undecodable_frame_still_goes_out_as_stored(house, get):
    assert get(f"{path_of(BROKEN, 1)}/frames/1", DECODED).status_code == 406
    ((_, payload),) = parts_of(get(f"{path_of(BROKEN, 1)}/frames/1", OHIF))
    assert payload == house.frames.frames[house.key(BROKEN)]
    assert get(f"{path_of(BROKEN, 1)}/metadata").status_code == 200


def test_boundaries_are_the_same_everywhere_and_follow_content_and_key(tmp_path, get):
    def boundary(response):
        return response.content_type.rpartition("=")[2]

    path = f"{path_of(CT, 1)}/frames/1"
    first = get(path, DECODED)
    assert boundary(first) == boundary(get(path, DECODED))
    assert first.get_data() == get(path, DECODED, Host="localhost:99").get_data()
    (tmp_path / "same").mkdir()
    (tmp_path / "other").mkdir()
    same = build(tmp_path / "same").app.test_client().get(path, headers={"Accept": DECODED})
    other = (
        build(tmp_path / "other", boundary_key=b"other")
        .app.test_client()
        .get(path, headers={"Accept": DECODED})
    )
    assert same.get_data() == first.get_data()
    assert boundary(other) != boundary(first)
    assert boundary(get(path, OHIF)) != boundary(first)
    assert boundary(get(f"{path_of(CT, 2)}/frames/1", DECODED)) != boundary(first)


def test_a_304_costs_no_frame(fresh):
    client = fresh.app.test_client()
    path = f"{path_of(CT, 1)}/frames/1"
    etag = client.get(path).headers["ETag"]
    asked = len(fresh.frames.asked)
    assert client.get(path, headers={"If-None-Match": etag}).status_code == 304
    assert len(fresh.frames.asked) == asked


BULK_ANSWERS = [
    ("B-2 default", CT, "00091001", None, True, "application/octet-stream", BULK),
    ("B-2 dwc-py", CT, "00091001", 'multipart/related; type="*/*"', True, "application/octet-stream", BULK),
    ("B-2 alone", CT, "00091001", "application/octet-stream", False, "application/octet-stream", BULK),
    ("V-4 */*", CT, "00091001", "*/*", False, "application/octet-stream", BULK),
    ("B-1 inside an item", CT, "00400275/2/00091001", "*/*", False, "application/octet-stream", BULK),
    (
        "B-3 L-8 OHIF's PDF",
        PDF,
        "00420011",
        'multipart/related; type="application/pdf", multipart/related; type="application/octet-stream"',
        True,
        "application/pdf",
        PDF_BYTES,
    ),
    ("B-3 PDF alone", PDF, "00420011", "application/pdf", False, "application/pdf", PDF_BYTES),
    ("B-3 hostile type", UNNAMED, "00420011", "*/*", False, "application/octet-stream", PDF_BYTES),
    ("B-3 another type", HTML, "00420011", "text/html,*/*;q=0.8", False, "text/html", PDF_BYTES),
]


@pytest.mark.parametrize(
    ("series", "steps", "accept", "multipart", "kind", "expected"),
    [row[1:] for row in BULK_ANSWERS],
    ids=[row[0] for row in BULK_ANSWERS],
)
def test_bulk_data(get, series, steps, accept, multipart, kind, expected):
    response = get(f"{path_of(series, 1)}/bulkdata/{steps}", accept)
    assert response.status_code == 200
    if multipart:
        ((head, payload),) = parts_of(response)
        assert (head["Content-Type"], head["Content-Location"]) == (
            kind,
            f"{path_of(series, 1)}/bulkdata/{steps}",
        )
    else:
        assert response.mimetype == kind
        payload = response.get_data()
    assert payload == expected
    assert "Set-Cookie" not in response.headers


def test_documents_out_of_files_run_no_scripts_here(get):
    page = get(f"{path_of(HTML, 1)}/bulkdata/00420011", "text/html")
    assert page.headers["Content-Security-Policy"] == DOCUMENT_POLICY
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert (
        "Content-Security-Policy"
        not in get(f"{path_of(PDF, 1)}/bulkdata/00420011", "application/pdf").headers
    )


def test_bulk_pixel_data_is_negotiated_as_frames(house, get):
    parts = parts_of(get(f"{path_of(RGB, 1)}/bulkdata/7FE00010", OHIF))
    assert [payload for _, payload in parts] == [house.frames.frames[house.key(RGB, 1, n)] for n in (1, 2)]


@pytest.mark.parametrize(
    ("steps", "status"),
    [
        ("00091009", 404),
        ("00100010", 404),
        ("00400275", 404),
        ("00400275/3/00091001", 404),
        ("00400275/0/00091001", 400),
        ("00400275/x/00091001", 400),
        ("00400275/2", 400),
        ("PatientName", 400),
        ("0009100", 400),
        ("../../metadata", 400),
        (f"00400275/{'9' * 5000}/00091001", 400),
        ("/".join(["00400275/1"] * 40) + "/00091001", 400),
    ],
)
def test_bulk_paths_that_lead_nowhere(get, steps, status):
    assert get(f"{path_of(CT, 1)}/bulkdata/{steps}").status_code == status
