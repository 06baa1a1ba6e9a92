"""Entity tags (RFC 9110 8.8.3, 13.1.2; dicomweb.md H-5, H-8)."""

import pytest

from dicomweb_gateway.web.conditional import is_match, strong_etag, weak_etag


@pytest.mark.parametrize(
    ("sent", "etag", "expected"),
    [
        (None, '"a"', False),
        ("", '"a"', False),
        ('"a"', '"a"', True),
        ('W/"a"', '"a"', True),
        ('"a"', 'W/"a"', True),
        ('"b"', '"a"', False),
        ('"b", W/"a" ,"c"', '"a"', True),
        ("*", '"a"', True),
        (" * ", '"a"', True),
        ("a", '"a"', False),
        ('"a,b"', '"a"', False),
        ('"x" "a"', '"a"', True),
    ],
)
def test_if_none_match_compares_weakly(sent, etag, expected):
    assert is_match(sent, etag) is expected


def test_strong_tags_follow_each_part():
    tags = [strong_etag(), strong_etag(""), strong_etag("a", "b"), strong_etag("ab"), strong_etag("b", "a")]
    assert strong_etag("a", "b") == tags[2]
    assert len(set(tags[1:])) == 4
    assert all(tag.startswith('"') and tag.endswith('"') for tag in tags)


def test_weak_tags_follow_the_body():
    assert weak_etag(b"a").startswith('W/"')
    assert weak_etag(b"a") == weak_etag(b"a") != weak_etag(b"b")
