"""Several pictures in one answer: frame lists, animations, every instance (R-1, R-3, R-14, M-9, W-10)."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from dicomweb_gateway.errors import UndecodablePixels
from dicomweb_gateway.wado import rendered
from tests.routes.archive import CT, RGB, SR, STUDY, build, parts_of, path_of
from tests.web.rendering_archive import (
    CINE,
    CINE_FRAMES,
    CINES,
    FILM_BESIDE,
    LARGE,
    LONG,
    MIXED,
    SCAN,
    STILL,
    STREAM,
    TORN,
    cine_pixels,
    series,
)

PNG_PARTS = 'multipart/related; type="image/png"'


def picture(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(data)))


@pytest.fixture
def made(monkeypatch):
    """The frame numbers of pictures, as they are made."""
    numbers = []
    real = rendered.encode_image

    def noting(image, *options):
        numbers.append(len(numbers) + 1)
        return real(image, *options)

    monkeypatch.setattr(rendered, "encode_image", noting)
    return numbers


def test_frames_of_a_list_are_made_one_by_one(get, made):
    """Memory does not grow with the list: after the first part only the first picture exists."""
    response = get(f"{path_of(CINE, 1)}/frames/3,1,4/rendered", "image/png")
    assert made == [1]
    parts = parts_of(response)
    assert made == [1, 2, 3]
    for number, (head, payload) in zip((3, 1, 4), parts, strict=True):
        assert head["Content-Type"] == "image/png"
        assert head["Content-Location"] == f"{path_of(CINE, 1)}/frames/{number}/rendered"
        assert np.array_equal(picture(payload), cine_pixels(number))


@pytest.mark.parametrize(
    ("frames", "status"), [("1,5", 404), ("1,1", 400), ("1,,2", 400), ("1,2,3,4,5", 413)]
)
def test_lists_that_cannot_be_served(get, frames, status):
    assert get(f"{path_of(CINE, 1)}/frames/{frames}/rendered").status_code == status


def test_a_cine_moves_as_a_gif(get):
    response = get(f"{path_of(CINE, 1)}/rendered", "image/gif")
    assert (response.status_code, response.content_type) == (200, "image/gif")
    assert response.headers["Content-Location"] == f"{path_of(CINE, 1)}/rendered"
    found = Image.open(BytesIO(response.get_data()))
    assert (found.n_frames, found.info["duration"], found.info["loop"]) == (CINE_FRAMES, 50, 0)
    for number in range(CINE_FRAMES):
        found.seek(number)
        assert np.array_equal(np.asarray(found.convert("L")), cine_pixels(number + 1))
    again = get(f"{path_of(CINE, 1)}/rendered", "image/gif", If_None_Match=response.headers["ETag"])
    assert again.status_code == 304


def test_a_moving_gif_in_a_part(get):
    ((head, payload),) = parts_of(get(f"{path_of(CINE, 1)}/rendered", "multipart/related; type=image/gif"))
    assert head["Content-Type"] == "image/gif"
    assert payload == get(f"{path_of(CINE, 1)}/rendered", "image/gif").get_data()


@pytest.mark.parametrize("place", ["frames/2/rendered", "thumbnail"])
def test_one_frame_stands_still(get, place):
    found = Image.open(BytesIO(get(f"{path_of(CINE, 1)}/{place}", "image/gif").get_data()))
    assert found.n_frames == 1


def test_an_animation_has_its_limit(get):
    """MAX_FRAMES_PER_REQUEST is 4 here."""
    response = get(f"{path_of(LONG, 1)}/rendered", "image/gif")
    assert response.status_code == 413
    assert "at most 4 frames" in response.get_json()["message"]
    assert get(f"{path_of(LONG, 1)}/rendered", "image/png").status_code == 200


def test_a_series_in_parts_is_the_first_frame_of_every_image(get, made):
    response = get(f"{path_of(STILL)}/rendered", PNG_PARTS)
    assert made == [1]
    parts = parts_of(response)
    assert response.status_code == 200
    assert [head["Content-Location"] for head, _ in parts] == [
        f"{path_of(STILL, number)}/frames/1/rendered" for number in (1, 2)
    ]
    assert picture(parts[0][1]).shape == (40, 30)
    again = get(f"{path_of(STILL)}/rendered", PNG_PARTS, If_None_Match=response.headers["ETag"])
    assert again.status_code == 304


def test_a_study_in_parts_goes_through_its_series(get):
    parts = parts_of(
        get(f"/aetitle/studies/{CINES}/rendered?viewport=8,8", 'multipart/related; type="image/*"')
    )
    assert [head["Content-Location"].split("/")[5] for head, _ in parts] == [CINE, STILL, STILL]
    assert all(Image.open(BytesIO(payload)).format == "JPEG" for _, payload in parts)


@pytest.mark.parametrize("accept", ["image/png", "*/*", None, 'multipart/related; type="*/*"'])
def test_any_other_accept_gives_the_representative_alone(get, accept):
    response = get(f"/aetitle/studies/{CINES}/rendered", accept)
    assert response.content_type in ("image/png", "image/jpeg")
    assert response.headers["Content-Location"] == f"{path_of(CINE, 1)}/frames/2/rendered"


def test_too_many_instances_are_refused_not_cut(get):
    """Never silently truncated: the limit here is 3, the CT study has 3 images, the torn series 4."""
    assert len(parts_of(get(f"/aetitle/studies/{STUDY}/rendered", PNG_PARTS))) == 3
    response = get(f"{path_of(TORN)}/rendered", PNG_PARTS)
    assert response.status_code == 413
    assert "more than 3 instances" in response.get_json()["message"]


def test_a_region_outside_any_of_them_is_known_before_the_first_byte(get):
    query = "viewport=10,10,0,0,30,40"
    response = get(f"{path_of(STILL)}/rendered?{query}", PNG_PARTS)
    assert response.status_code == 400
    assert get(f"{path_of(STILL, 1)}/rendered?{query}", PNG_PARTS).status_code == 200


def test_what_cannot_be_decoded_is_left_out_and_named(tmp_path):
    client = build(tmp_path, more={TORN: series()[TORN]}).app.test_client()
    first = client.get(f"{path_of(TORN)}/rendered", headers={"Accept": PNG_PARTS})
    assert first.status_code == 206
    assert f"1 instances left out: {TORN}.1" in first.headers["Warning"]
    with pytest.raises(UndecodablePixels):
        first.get_data()
    second = client.get(f"{path_of(TORN)}/rendered", headers={"Accept": PNG_PARTS})
    assert second.status_code == 206
    assert "2 instances left out" in second.headers["Warning"]
    assert len(parts_of(second)) == 2
    assert "ETag" not in second.headers


def test_a_video_stands_for_a_study_without_pictures_but_masks(get):
    response = get(f"/aetitle/studies/{MIXED}/rendered")
    assert response.headers["Content-Location"] == f"{path_of(FILM_BESIDE, 1)}/rendered"
    assert response.get_data() == STREAM


def test_a_study_of_reports_beside_images_shows_the_images(get):
    assert get(f"{path_of(SR)}/rendered").status_code == 406
    assert get(f"/aetitle/studies/{STUDY}/rendered").content_type == "image/jpeg"


LEVELS = [
    f"/aetitle/studies/{LARGE}/thumbnail",
    f"{path_of(SCAN)}/thumbnail",
    f"{path_of(SCAN, 1)}/thumbnail",
    f"{path_of(SCAN, 1)}/frames/1/thumbnail",
]


@pytest.mark.parametrize("path", [*LEVELS, *(path.replace("thumbnail", "rendered") for path in LEVELS)])
@pytest.mark.parametrize(
    ("query", "decoded"),
    [
        ("viewport=255,256", (256, 200)),
        ("viewport=128,128", (128, 100)),
        ("viewport=64,64", (64, 50)),
        ("viewport=1,1", (64, 50)),
        ("viewport=50,50,0,0,200,200", (128, 100)),
        ("viewport=400,512", (512, 400)),
    ],
)
def test_only_the_resolution_that_is_needed_is_decoded(get, monkeypatch, path, query, decoded):
    """R-12 at all four levels; a thumbnail knows no region, so that of all is reduced further."""
    asked, shapes = [], []
    real = rendered.decode_frame

    def noting(data, syntax, pixels, reduce=0):
        samples = real(data, syntax, pixels, reduce=reduce)
        asked.append(reduce)
        shapes.append(samples.shape)
        return samples

    monkeypatch.setattr(rendered, "decode_frame", noting)
    response = get(f"{path}?{query}", "image/png")
    assert response.status_code == 200
    if path.endswith("thumbnail") and query.startswith("viewport=50"):
        decoded = (64, 50)
    assert shapes == [decoded]
    assert (asked[0] > 0) == (decoded != (512, 400))


@pytest.mark.parametrize(
    ("query", "accept", "embedded", "warnings"),
    [
        ("", "image/png", False, 0),
        ("?iccprofile=no", "image/png", False, 0),
        ("?iccprofile=yes", "image/png", True, 0),
        ("?iccprofile=srgb", "image/jpeg", True, 0),
        ("?iccprofile=rommrgb", "image/png", False, 1),
        ("?iccprofile=yes", "image/jp2", False, 1),
        ("?annotation=patient&iccprofile=adobergb", "image/jpeg", False, 2),
    ],
)
def test_profiles_and_what_is_not_done(get, query, accept, embedded, warnings):
    """R-9, R-10: what does nothing is told."""
    response = get(f"{path_of(RGB, 1)}/rendered{query}", accept)
    assert response.status_code == 200
    assert ("icc_profile" in Image.open(BytesIO(response.get_data())).info) is embedded
    assert len(response.headers.getlist("Warning")) == warnings


def test_a_grey_image_has_no_profile(get):
    response = get(f"{path_of(CT, 1)}/rendered?iccprofile=yes", "image/png")
    assert "icc_profile" not in Image.open(BytesIO(response.get_data())).info
    assert "grey" in response.headers["Warning"]


@pytest.mark.parametrize("kind", ["rendered", "thumbnail"])
def test_answers_name_what_they_are(get, kind):
    response = get(f"{path_of(CT, 1)}/{kind}")
    assert response.headers["Content-Location"] == f"{path_of(CT, 1)}/frames/1/{kind}"
    assert response.headers["Cache-Control"] == "private, no-cache"
