"""startLevel and endLevel (healthimaging.md 7.1)."""

import pytest
from werkzeug.datastructures import MultiDict

from dicomweb_gateway.errors import InvalidRequest
from dicomweb_gateway.web.levels import parse_levels


@pytest.mark.parametrize(
    ("args", "levels"),
    [
        ({}, (None, None)),
        ({"startLevel": "0"}, (0, None)),
        ({"endLevel": "2"}, (None, 2)),
        ({"startLevel": "3", "endLevel": "1"}, (3, 1)),
    ],
)
def test_levels(args, levels):
    assert parse_levels(MultiDict(args)) == levels


@pytest.mark.parametrize("text", ["", "-1", "1.9", "a", " 1", "²", "99999"])
@pytest.mark.parametrize("name", ["startLevel", "endLevel"])
def test_junk_levels_are_refused_by_name(name, text):
    with pytest.raises(InvalidRequest, match=name):
        parse_levels(MultiDict({name: text}))


def test_two_values_are_refused():
    with pytest.raises(InvalidRequest, match="endLevel is given more than once"):
        parse_levels(MultiDict([("endLevel", "0"), ("endLevel", "0")]))
