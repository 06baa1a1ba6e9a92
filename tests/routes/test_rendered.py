"""Pictures over HTTP (dicomweb.md R-1 to R-5, R-13 to R-15, F-10, L-7, V-4); the pipeline: tests/pixels."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from tests.routes.archive import BROKEN, CT, OTHER, RGB, SR, STUDY, parts_of, path_of, rgb_pixels


def picture(response):
    assert response.status_code == 200
    return Image.open(BytesIO(response.get_data()))


@pytest.mark.parametrize(
    ("accept", "query", "form"),
    [
        (None, "", "JPEG"),
        ("*/*", "", "JPEG"),
        ("image/*", "", "JPEG"),
        ("image/png", "", "PNG"),
        ("image/gif", "", "GIF"),
        ("*/*", "?accept=image%2Fpng", "PNG"),
        ("image/avif,image/webp,image/apng,*/*;q=0.8", "?accept=image/jpeg", "JPEG"),
    ],
)
def test_types(get, accept, query, form):
    response = get(f"{path_of(CT, 1)}/rendered{query}", accept)
    found = picture(response)
    assert (found.format, found.size) == (form, (80, 96))
    assert response.content_type == f"image/{form.lower()}"


def test_colour_is_exact_in_png(get):
    found = picture(get(f"{path_of(RGB, 1)}/frames/2/rendered", "image/png"))
    assert np.array_equal(np.asarray(found), rgb_pixels(2))


@pytest.mark.parametrize(
    ("series", "path", "same_as"),
    [
        ("R-3 no list is frame 1", f"{path_of(RGB, 1)}/rendered", f"{path_of(RGB, 1)}/frames/1/rendered"),
        ("F-10 alias", f"{path_of(RGB, 1)}/rendered/2", f"{path_of(RGB, 1)}/frames/2/rendered"),
        ("F-10 alias", f"{path_of(RGB, 1)}/thumbnail/2", f"{path_of(RGB, 1)}/frames/2/thumbnail"),
        ("R-14 series", f"{path_of(CT)}/rendered", f"{path_of(CT, 2)}/frames/1/rendered"),
        ("R-14 study", f"/aetitle/studies/{STUDY}/rendered", f"{path_of(CT, 2)}/rendered"),
        ("R-14 study thumbnail", f"/aetitle/studies/{STUDY}/thumbnail", f"{path_of(CT)}/thumbnail"),
    ],
)
def test_which_image_is_shown(get, series, path, same_as):
    assert picture(get(path)).tobytes() == picture(get(same_as)).tobytes()


def test_several_frames_come_in_parts(get):
    response = get(f"{path_of(RGB, 1)}/frames/2,1/rendered", "image/png")
    parts = parts_of(response)
    assert 'type="image/png"' in response.content_type
    found = [np.asarray(Image.open(BytesIO(payload))) for _, payload in parts]
    assert np.array_equal(found[0], rgb_pixels(2))
    assert np.array_equal(found[1], rgb_pixels(1))


def test_one_frame_in_multipart_when_asked_so(get):
    ((head, _),) = parts_of(get(f"{path_of(CT, 1)}/rendered", 'multipart/related; type="image/jpeg"'))
    assert head["Content-Type"] == "image/jpeg"


@pytest.mark.parametrize(
    ("path", "size"),
    [
        (f"{path_of(CT, 1)}/thumbnail?viewport=32%2C32", (27, 32)),
        (f"{path_of(CT)}/thumbnail?viewport=20,64", (20, 24)),
        (f"{path_of(CT, 1)}/thumbnail?quality=0&window=nonsense", None),
    ],
)
def test_thumbnails_fit_their_viewport_and_ignore_the_rest(get, path, size):
    found = picture(get(path, "*/*"))
    assert max(found.size) <= 128
    assert found.format == "JPEG"
    if size:
        assert all(abs(a - b) <= 1 for a, b in zip(found.size, size, strict=True))


@pytest.mark.parametrize("suffix", ["rendered", "thumbnail"])
@pytest.mark.parametrize("path", [path_of(SR, 1), path_of(SR)])
def test_what_has_no_image_is_406(get, path, suffix):
    assert get(f"{path}/{suffix}").status_code == 406


def test_what_cannot_be_decoded_is_406(get):
    assert get(f"{path_of(BROKEN, 1)}/rendered").status_code == 406


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("quality=0", "quality"),
        ("viewport=0,5", "viewport"),
        ("window=1,2", "window"),
        ("viewport=x", "viewport"),
    ],
)
def test_bad_parameters_are_named(get, query, name):
    response = get(f"{path_of(CT, 1)}/rendered?{query}")
    assert response.status_code == 400
    assert name in response.get_json()["message"]


@pytest.mark.parametrize("suffix", ["frames/2/rendered", "rendered/0", "thumbnail/1,2"])
def test_frames_that_are_not_there(get, suffix):
    assert get(f"{path_of(CT, 1)}/{suffix}").status_code in (400, 404, 413)


def test_tags_follow_the_options(get):
    tags = {
        get(f"{path_of(CT, 1)}/rendered{q}").headers["ETag"] for q in ("", "?quality=50", "?viewport=10,10")
    }
    tags.add(get(f"{path_of(CT, 1)}/rendered", "image/png").headers["ETag"])
    tags.add(get(f"{path_of(CT, 2)}/rendered").headers["ETag"])
    assert len(tags) == 5


def test_the_study_of_another_series_shows_an_image(get):
    assert picture(get(f"/aetitle/studies/{OTHER}/thumbnail")).format == "JPEG"
