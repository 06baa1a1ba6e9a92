"""Accept values as clients write them (dicomweb.md A-1, A-2, A-5 to A-8)."""

import pytest

from dicomweb_gateway.web.accept import MediaRange, parse_accept

OCTET = "application/octet-stream"
DICOM = "application/dicom"

FORMS = [
    # quoted or not, any order, spaces, case
    ("multipart/related; type=application/octet-stream; transfer-syntax=*", (OCTET, True, "*")),
    ('multipart/related; type="application/octet-stream"; transfer-syntax="*"', (OCTET, True, "*")),
    ('multipart/related; transfer-syntax=1.2; type="application/dicom"', (DICOM, True, "1.2")),
    ('multipart/related;type="application/dicom";transfer-syntax=*', (DICOM, True, "*")),
    ('Multipart/Related ; Type = "Application/DICOM" ; Transfer-Syntax = 1.2', (DICOM, True, "1.2")),
    ("application/dicom;transfer-syntax=1.2.840.10008.1.2.4.202", (DICOM, False, "1.2.840.10008.1.2.4.202")),
    ('multipart/related; type="application/\\dicom"', (DICOM, True, None)),
    ("multipart/related; type=application/dicom;", (DICOM, True, None)),
    # the whole type of the parts in quotes
    ('multipart/related; type="application/octet-stream; transfer-syntax=*"', (OCTET, True, "*")),
    (
        'multipart/related; type="application/dicom;transfer-syntax=1.2"; transfer-syntax=3',
        (DICOM, True, "3"),
    ),
    #
    ("*/*", ("*/*", False, None)),
    ("*", ("*/*", False, None)),
    ("multipart/related", ("*/*", True, None)),
    ('multipart/related; type="*/*"', ("*/*", True, None)),
    # A-8 aliases
    ("image/jph", ("image/jphc", False, None)),
    ("multipart/related; type=image/jhc", ("image/jphc", True, None)),
    ("image/x-jls", ("image/jls", False, None)),
    ("image/x-dicom-rle", ("image/dicom-rle", False, None)),
    ("image/dicom+jpeg", ("image/jpeg", False, None)),
    ("image/j2c", ("image/jp2", False, None)),
    # L-19: a `+` that was read as a space
    ("application/dicom json", ("application/dicom+json", False, None)),
]


@pytest.mark.parametrize(("value", "expected"), FORMS, ids=[form for form, _ in FORMS])
def test_one_member(value, expected):
    (parsed,) = parse_accept([value])
    assert (parsed.media_type, parsed.multipart, parsed.transfer_syntax) == expected


ORDERS = [
    ("A-1 list order", ["a/b, c/d"], ["a/b", "c/d"]),
    ("A-1 several lines are one list", ["a/b", "c/d"], ["a/b", "c/d"]),
    ("A-1 weights sort", ["a/b;q=0.1, c/d;q=0.9, e/f"], ["e/f", "c/d", "a/b"]),
    ("A-1 ties keep their order", ["a/b;q=0.5, c/d;q=0.5"], ["a/b", "c/d"]),
    ("A-1 q=0 excludes", ["a/b;q=0, c/d;q=0.000"], []),
    ("A-1 Q in capitals", ["a/b; Q=0.1, c/d"], ["c/d", "a/b"]),
    ("nonsense weights count as 1", ["c/d;q=0.9, a/b;q=high"], ["a/b", "c/d"]),
    ("commas inside quotes", ['multipart/related; type="a/b"; boundary="x,y", c/d'], ["a/b", "c/d"]),
    ("empty members", [" , a/b,, "], ["a/b"]),
]


@pytest.mark.parametrize(("values", "expected"), [row[1:] for row in ORDERS], ids=[row[0] for row in ORDERS])
def test_lists(values, expected):
    assert [parsed.media_type for parsed in parse_accept(values)] == expected


@pytest.mark.parametrize("values", [[], [""], [" , "]])
def test_no_value_is_the_resource_default_in_parts(values):
    assert parse_accept(values) == [MediaRange("*/*", multipart=True)]


@pytest.mark.parametrize(
    ("wanted", "candidate", "covered"),
    [
        ("image/*", "image/jphc", True),
        ("video/*", "video/mp4", True),
        ("image/*", "application/dicom", False),
        ("*/*", "anything/at-all", True),
        ("image/jp2", "image/jphc", False),
        ("image/j", "image/jphc", False),
    ],
)
def test_wildcards_cover_their_kind(wanted, candidate, covered):
    assert MediaRange(wanted).covers(candidate) is covered
