"""Range and If-Range (RFC 9110 13.1.5, 14.2; F-7)."""

import pytest
from flask import Flask, request
from hypothesis import given
from hypothesis import strategies as st

from dicomweb_gateway.errors import RangeNotSatisfiable
from dicomweb_gateway.web.ranges import requested_range

APP = Flask("ranges")
ETAG = '"abc"'


def asked(text, if_range=None, total=1000, method="GET"):
    headers = {"Range": text, **({"If-Range": if_range} if if_range is not None else {})}
    with APP.test_request_context("/", method=method, headers=headers):
        return requested_range(request, ETAG, total)


@pytest.mark.parametrize(
    ("text", "content_range"),
    [
        ("bytes=0-0", "bytes 0-0/1000"),
        ("bytes=0-65535", "bytes 0-999/1000"),
        ("bytes=999-", "bytes 999-999/1000"),
        ("bytes=10-19", "bytes 10-19/1000"),
        ("bytes=-1", "bytes 999-999/1000"),
        ("bytes=-5000", "bytes 0-999/1000"),
        ("Bytes = 4-", "bytes 4-999/1000"),
    ],
)
def test_single_ranges(text, content_range):
    assert asked(text).content_range == content_range


@pytest.mark.parametrize(
    "text",
    [
        "bytes=5-2", "bytes=", "bytes=-", "bytes=a-b", "bytes=0-1,4-5", "bytes=1.5-3", "bytes 0-3",
        "lines=0-3", "0-3",
        "bytes=--3", "bytes=0x10-",
        "bytes=٣-", "bytes=" + "9" * 40 + "-", "bytes=0-3;q=1", "",
    ],
)  # fmt: skip
def test_what_is_no_single_range_counts_as_absent(text):
    assert asked(text) is None


@pytest.mark.parametrize(
    ("text", "total"), [("bytes=1000-", 1000), ("bytes=5000-6000", 1000), ("bytes=-0", 9)]
)
def test_outside_is_not_satisfiable(text, total):
    with pytest.raises(RangeNotSatisfiable) as caught:
        asked(text, total=total)
    assert caught.value.total == total


def test_nothing_of_an_empty_body_can_be_asked():
    with pytest.raises(RangeNotSatisfiable):
        asked("bytes=0-", total=0)


@pytest.mark.parametrize(
    ("if_range", "honoured"),
    [
        (ETAG, True),
        ('W/"abc"', False),
        ('"other"', False),
        ("Tue, 24 Nov 2026 10:00:00 GMT", False),
        ("", False),
    ],
)
def test_if_range(if_range, honoured):
    assert (asked("bytes=0-9", if_range) is not None) == honoured


def test_only_get_has_ranges():
    assert asked("bytes=0-9", method="HEAD") is None
    assert asked("bytes=0-9", method="POST") is None


@given(st.text(max_size=30), st.integers(0, 50))
def test_any_text_is_a_range_inside_or_none(text, total):
    sent = "".join(text.encode("utf-8", "ignore").decode("latin-1").splitlines())
    try:
        found = asked(f"bytes={sent}", total=total)
    except RangeNotSatisfiable:
        return
    assert found is None or 0 <= found.start < found.end <= found.total
