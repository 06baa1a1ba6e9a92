"""Render parameters of R-6 to R-10 and R-13: values, defaults, refusals that name the parameter."""

import pytest

from dicomweb_gateway.errors import InvalidRequest
from dicomweb_gateway.pixels.options import RenderOptions, Viewport, Window
from dicomweb_gateway.web.rendering import parse_render_options, parse_thumbnail_options


def test_defaults():
    assert parse_render_options({}) == RenderOptions(quality=90)
    assert parse_render_options({"accept": ["image/png"], "foo": ["bar"]}) == RenderOptions()


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("quality", "1", "quality", 1),
        ("iccprofile", "YES", "profile", "yes"),
        ("iccprofile", "sRGB", "profile", "srgb"),
        ("quality", "100", "quality", 100),
        ("window", "40,400,linear", "window", Window(40, 400, "LINEAR")),
        ("window", "40.5,1,LINEAR", "window", Window(40.5, 1, "LINEAR")),
        ("window", "-600, 0.5, linear-exact", "window", Window(-600, 0.5, "LINEAR_EXACT")),
        ("window", "1e3,2,sigmoid", "window", Window(1000, 2, "SIGMOID")),
        ("viewport", "256,128", "viewport", Viewport(256, 128)),
        ("viewport", "256,128,10,20.5", "viewport", Viewport(256, 128, 10, 20.5)),
        ("viewport", "256,128,1,2,30,40", "viewport", Viewport(256, 128, 1, 2, 30, 40)),
        ("viewport", "256,128,,,30,-40", "viewport", Viewport(256, 128, 0, 0, 30, -40)),
    ],
)
def test_values(name, text, field, value):
    assert getattr(parse_render_options({name: [text]}), field) == value


def test_the_last_of_repeated_values_counts():
    assert parse_render_options({"quality": ["10", "20"]}).quality == 20


BAD = {
    "quality": ("0", "101", "-1", "", "9.5", "high", "1000", "00999", "٣"),
    "window": (
        *("", "40", "40,400", "40,400,", "40,400,cubic", "a,400,linear", "40,b,linear", "40,0.5,linear"),
        *("40,0,sigmoid", "40,-1,linear-exact", "nan,1,linear", "1,inf,linear", "1,2,linear,3"),
        *("1_0,2,linear", "٣,2,linear"),
    ),
    "viewport": (
        *("", "256", "256,", "0,10", "10,0", "-5,5", "a,b", "1.5,2", "20000,1", "1,2,3,4,5,6,7", "10,10,a"),
        *("10,10,0,0,0,5", "10,10,0,0,5,0", "10,10,nan"),
    ),
    "annotation": ("", "everything", "patient,foo"),
    "iccprofile": ("", "maybe"),
}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in BAD.items() for text in texts])
def test_bad_values_name_their_parameter(name, text):
    with pytest.raises(InvalidRequest, match=name):
        parse_render_options({name: [text]})


@pytest.mark.parametrize(
    ("name", "text", "count"),
    [
        ("annotation", "patient", 1),
        ("annotation", "technique,patient", 1),
        ("iccprofile", "no", 0),
        ("iccprofile", "yes", 0),
        ("iccprofile", "sRGB", 0),
        ("iccprofile", "adobergb", 1),
        ("iccprofile", "rommrgb", 1),
    ],
)
def test_what_is_not_done_is_a_warning(name, text, count):
    warnings = parse_render_options({name: [text]}).warnings
    assert len(warnings) == count
    assert all(name in warning for warning in warnings)


@pytest.mark.parametrize(
    ("args", "viewport"),
    [
        ({}, Viewport(128, 128)),
        ({"viewport": ["64,32"]}, Viewport(64, 32)),
        ({"viewport": ["64,32,1,1,5,5"]}, Viewport(64, 32)),
        ({"quality": ["nonsense"], "window": ["nonsense"]}, Viewport(128, 128)),
    ],
)
def test_thumbnails_know_only_their_size(args, viewport):
    assert parse_thumbnail_options(args) == RenderOptions(viewport=viewport)


def test_a_bad_thumbnail_size_is_refused():
    with pytest.raises(InvalidRequest, match="viewport"):
        parse_thumbnail_options({"viewport": ["big"]})
