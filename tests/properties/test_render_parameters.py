"""Render parameters of every broken kind through the real app: a picture or a 4xx that says why, never a 500.

PROPERTY_CASES makes more cases, as in test_hostile.py.
"""

import os
from urllib.parse import quote

import pytest
from hypothesis import Phase, given
from hypothesis import strategies as st

from tests.properties.drawing import drawn
from tests.routes.archive import BROKEN, CT, JPEG, RGB, SEG, SR, STUDY, UNNAMED, build, path_of
from tests.web.rendering_archive import CINE, CINES, FILMS, H264, MPEG2, PAGE, PAPER, PAPERS, STILL, series

CASES = min(int(os.environ.get("PROPERTY_CASES", "400")), 100_000)
ALLOWED = {200, 206, 400, 404, 406, 413, 416}

PLACES = [
    *(path_of(name, 1) for name in (CT, SR, JPEG, SEG, RGB, BROKEN, UNNAMED, CINE, H264, MPEG2, PAPER, PAGE)),
    *(path_of(name) for name in (CT, SR, RGB, CINE, STILL, H264, PAPER, "1.2.10.99")),
    *(f"/aetitle/studies/{study}" for study in (STUDY, CINES, FILMS, PAPERS, "1.2.99", "1..2", "x")),
]
FRAMES = [
    "1",
    "2",
    "0",
    "-1",
    "1,2",
    "2,1",
    "1,1",
    "1,2,3,4,5",
    "",
    "x",
    "1e3",
    "9" * 30,
    "%2C",
    "٣",
    "1%2C2",
]
NUMBERS = [
    *(
        "0",
        "1",
        "-1",
        "0.5",
        "1e308",
        "-1e308",
        "1e-320",
        "1e999",
        "nan",
        "inf",
        "-0.0",
        "٣",
        "0x10",
        "1_0",
        "",
    ),
    *("16384", "16385", "80", "96", "79.999999", "255", "65536", "4294967296", "9" * 400, " 7 ", "1,", "\0"),
]
WORDS = [
    "linear",
    "LINEAR",
    "linear-exact",
    "sigmoid",
    "cubic",
    "",
    "patient",
    "technique",
    "yes",
    "no",
    "srgb",
]
NAMES = [
    "window",
    "viewport",
    "quality",
    "annotation",
    "iccprofile",
    "accept",
    "charset",
    "frame",
    "presentation",
]
ACCEPTS = [
    *(
        None,
        "*/*",
        "image/*",
        "image/jpeg",
        "image/png",
        "image/gif",
        "image/jp2",
        "video/*",
        "application/pdf",
    ),
    *(
        'multipart/related; type="image/jpeg"',
        "multipart/related; type=image/gif",
        "image/png;q=0",
        ";;,",
        "\xff",
    ),
]

member = st.one_of(st.sampled_from(NUMBERS), st.sampled_from(WORDS), st.text(max_size=4))
sides = st.sampled_from(["1", "2", "33", "128", "1000"])
sensible = st.one_of(
    st.tuples(st.just("viewport"), st.tuples(sides, sides, *[st.sampled_from(NUMBERS)] * 4).map(",".join)),
    st.tuples(
        st.just("window"), st.tuples(*[st.sampled_from(NUMBERS)] * 2, st.sampled_from(WORDS)).map(",".join)
    ),
    st.tuples(st.just("quality"), st.sampled_from(NUMBERS)),
)
anything = st.tuples(st.sampled_from(NAMES), st.lists(member, max_size=7).map(",".join))
queries = st.lists(st.one_of(sensible, anything), max_size=3)


@st.composite
def addresses(draw):
    place, kind = draw(st.sampled_from(PLACES)), draw(st.sampled_from(["rendered", "thumbnail"]))
    frames = draw(st.sampled_from(FRAMES))
    forms = (
        ["{0}/{1}", "{0}/{1}", "{0}/{1}/{2}", "{0}/frames/{2}/{1}"] if "/instances/" in place else ["{0}/{1}"]
    )
    query = "&".join(f"{name}={quote(value)}" for name, value in draw(queries))
    return f"{draw(st.sampled_from(forms)).format(place, kind, frames)}?{query}"


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parameters")
    return build(folder, more=series(), max_frames=4, max_rendered_instances=3).app.test_client()


@drawn(CASES, phases=[Phase.generate])
@given(address=addresses(), accept=st.sampled_from(ACCEPTS), method=st.sampled_from(["GET", "HEAD"]))
def test_no_render_request_breaks_the_gateway(client, address, accept, method):
    response = client.open(address, method=method, headers={"Accept": accept} if accept is not None else {})
    assert response.status_code in ALLOWED, response.get_data()
    if response.status_code >= 400 and method == "GET":
        assert response.get_json()["message"]
    elif method == "GET":
        assert response.get_data()


@pytest.mark.parametrize("kind", ["rendered", "thumbnail"])
@pytest.mark.parametrize(
    "query",
    [
        *(f"viewport=10,10,0,0,{tiny},{tiny}" for tiny in ("5e-324", "1e-320", "0.001", "1")),
        "viewport=10,10,79.9999,95.9999",
        *(
            f"window={center},{width},{form}"
            for center, width, form in [
                ("1e308", "1e308", "linear"),
                ("-1e308", "1.7e308", "linear"),
                ("0", "5e-324", "sigmoid"),
                ("1e308", "5e-324", "linear-exact"),
            ]
        ),
    ],
)
def test_what_is_absurd_but_allowed_is_a_picture(client, query, kind):
    assert client.get(f"{path_of(CT, 1)}/{kind}?{query}").status_code == 200


def test_an_enormous_viewport_is_413_not_an_enormous_image(client):
    response = client.get(f"{path_of(CT, 1)}/rendered?viewport=16384,16384")
    assert response.status_code == 413
    assert "viewport" in response.get_json()["message"]
