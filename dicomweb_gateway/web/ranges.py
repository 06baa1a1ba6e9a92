"""Byte ranges of an answer (RFC 9110 14; dicomweb.md F-7, B-5)."""

import re
from typing import NamedTuple

from flask import Request

from dicomweb_gateway.errors import RangeNotSatisfiable

_SINGLE = re.compile(r"bytes\s*=\s*(?:(\d{1,18})-(\d{1,18})?|-(\d{1,18}))\s*", re.ASCII | re.IGNORECASE)


class ByteRange(NamedTuple):
    """[start, end) of a body of `total` bytes, 0-based; never empty."""

    start: int
    end: int
    total: int

    @property
    def content_range(self) -> str:
        """The value of Content-Range, whose last position is included (RFC 9110 14.4)."""
        return f"bytes {self.start}-{self.end - 1}/{self.total}"


def requested_range(request: Request, etag: str | None, total: int) -> ByteRange | None:
    """The part of the body of `total` bytes that is asked for; None for all of it.

    A Range that is malformed, of another unit or of several ranges counts as absent, as RFC 9110 14.2
    allows, and so does one whose If-Range does not name `etag`, a strong tag (13.1.5). Raises
    RangeNotSatisfiable for a range outside the body.
    """
    # of every answer: to look in werkzeug's headers for what is not there costs more than the rest
    text = request.environ.get("HTTP_RANGE")
    if text is None or request.method != "GET" or not _is_current(request.headers.get("If-Range"), etag):
        return None
    match = _SINGLE.fullmatch(text.strip())
    if match is None:
        return None
    first, last, suffix = match.groups()
    start, end = _bounds(first, last, suffix, total)
    if end <= start and first is not None and last is not None and int(last) < int(first):
        return None
    if end <= start:
        raise RangeNotSatisfiable(total)
    return ByteRange(start, end, total)


def _bounds(first: str | None, last: str | None, suffix: str | None, total: int) -> tuple[int, int]:
    """[start, end) within `total`; empty when nothing of it lies there."""
    if first is None:
        return max(0, total - int(suffix or 0)), total
    return int(first), total if last is None else min(int(last) + 1, total)


def _is_current(if_range: str | None, etag: str | None) -> bool:
    """Whether the client's copy is of this representation; dates and weak tags never say so."""
    return if_range is None or (etag is not None and if_range.strip() == etag)
