"""Videos and documents as /rendered gives them (R-4, R-5, B-3, L-7)."""

import pytest

from dicomweb_gateway.web.hardening import DOCUMENT_POLICY
from tests.routes.archive import parts_of, path_of
from tests.web.rendering_archive import (
    DOCUMENT,
    EMPTY,
    FILMS,
    H264,
    HEVC,
    MESH,
    MPEG2,
    PAGE,
    PAPER,
    PAPERS,
    REPORT,
    STREAM,
)

FIREFOX = "video/webm,video/ogg,video/*;q=0.9,application/ogg;q=0.7,audio/*;q=0.6,*/*;q=0.5"


@pytest.mark.parametrize("accept", [None, "*/*", "video/*", FIREFOX, 'multipart/related; type="*/*"'])
@pytest.mark.parametrize(
    ("series", "media_type"), [(MPEG2, "video/mpeg"), (H264, "video/mp4"), (HEVC, "video/H265")]
)
def test_a_video_is_its_stored_stream(get, house, series, media_type, accept):
    before = len(house.frames.asked)
    response = get(f"{path_of(series, 1)}/rendered", accept)
    assert (response.status_code, response.content_type) == (200, media_type)
    assert response.get_data() == STREAM
    assert response.headers["Content-Length"] == str(len(STREAM))
    assert response.headers["Content-Location"] == f"{path_of(series, 1)}/rendered"
    again = get(f"{path_of(series, 1)}/rendered", accept, If_None_Match=response.headers["ETag"])
    assert (again.status_code, len(house.frames.asked)) == (304, before + 1)


def test_a_video_in_a_part(get):
    ((head, payload),) = parts_of(
        get(f"{path_of(H264, 1)}/rendered", "multipart/related; type=video/mp4; transfer-syntax=*")
    )
    assert (head["Content-Type"], payload) == ("video/mp4", STREAM)


@pytest.mark.parametrize("accept", ["image/jpeg", "video/mpeg", "application/dicom"])
def test_a_video_in_other_types_is_406_and_names_its_own(get, accept):
    response = get(f"{path_of(H264, 1)}/rendered", accept)
    assert response.status_code == 406
    assert "video/mp4" in response.get_json()["message"]


@pytest.mark.parametrize(
    "path",
    [
        *(f"{path_of(series, 1)}/thumbnail" for series in (H264, PAPER, MESH, EMPTY)),
        *(f"{path_of(series)}/thumbnail" for series in (H264, PAPER)),
        *(f"/aetitle/studies/{study}/thumbnail" for study in (FILMS, PAPERS)),
        *(
            f"{path_of(series, 1)}/frames/1/{kind}"
            for series in (H264, PAPER)
            for kind in ("rendered", "thumbnail")
        ),
        *(f"{path_of(series, 1)}/rendered" for series in (EMPTY, REPORT)),
    ],
)
def test_what_has_no_picture_is_406_without_asking_for_a_frame(get, house, path):
    """R-5: never 404, 405 or 501."""
    before = len(house.frames.asked)
    assert get(path, "image/jpeg").status_code == 406
    assert len(house.frames.asked) == before


@pytest.mark.parametrize("accept", [None, "*/*", "application/pdf", 'multipart/related; type="*/*"'])
@pytest.mark.parametrize("place", [path_of(PAPER, 1), path_of(PAPER), f"/aetitle/studies/{PAPERS}"])
def test_a_pdf_is_itself_without_its_pad_byte(get, place, accept):
    """Also of a series and a study that hold nothing better to look at (R-14)."""
    response = get(f"{place}/rendered", accept)
    assert (response.status_code, response.content_type) == (200, "application/pdf")
    assert response.get_data() == DOCUMENT
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "Content-Security-Policy" not in response.headers
    assert response.headers["Content-Location"] == f"{path_of(PAPER, 1)}/rendered"
    again = get(f"{place}/rendered", accept, If_None_Match=response.headers["ETag"])
    assert again.status_code == 304


def test_a_pdf_in_a_part(get):
    accept = 'multipart/related; type="application/pdf"'
    ((head, payload),) = parts_of(get(f"{path_of(PAPER, 1)}/rendered", accept))
    assert (head["Content-Type"], payload) == ("application/pdf", DOCUMENT)


@pytest.mark.parametrize(("series", "number"), [(PAPER, 2), (MESH, 1)])
def test_without_a_length_that_fits_every_byte_is_served(get, series, number):
    assert get(f"{path_of(series, number)}/rendered").get_data() == DOCUMENT + b"\0"


@pytest.mark.parametrize(("series", "media_type"), [(PAGE, "text/html"), (MESH, "model/stl")])
def test_other_documents_are_shielded(get, series, media_type):
    response = get(f"{path_of(series, 1)}/rendered")
    assert response.headers["Content-Type"].partition(";")[0] == media_type
    assert response.headers["Content-Security-Policy"] == DOCUMENT_POLICY
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_a_pdf_as_an_image_is_406_and_names_its_own_type(get):
    response = get(f"{path_of(PAPER, 1)}/rendered", "image/png")
    assert response.status_code == 406
    assert "application/pdf" in response.get_json()["message"]


@pytest.mark.parametrize(("series", "whole"), [(H264, STREAM), (PAPER, DOCUMENT)])
def test_ranges(get, series, whole):
    """R-4, B-5: a browser seeks in a video, a reader in a PDF."""
    path = f"{path_of(series, 1)}/rendered"
    tag = get(path).headers["ETag"]
    response = get(path, Range="bytes=3-9", If_Range=tag)
    assert (response.status_code, response.get_data()) == (206, whole[3:10])
    assert response.headers["Content-Range"] == f"bytes 3-9/{len(whole)}"
    assert get(path, Range=f"bytes={len(whole)}-").status_code == 416


def test_a_head_request_has_the_same_headers(get):
    for path in (f"{path_of(H264, 1)}/rendered", f"{path_of(PAPER, 1)}/rendered"):
        full, head = get(path), get(path, method="HEAD")
        assert head.get_data() == b""
        for name in ("Content-Length", "Content-Type", "ETag"):
            assert head.headers[name] == full.headers[name]
