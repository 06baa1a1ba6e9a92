"""Reads a multipart body out of a file, part by part, without holding it (RFC 2046 5.1; PS3.18 8.6.1.2).

What a part holds is not copied: a part is a place in the file. So a body of a gigabyte costs a window.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from typing import BinaryIO

from dicomweb_gateway.dicom.windows import file_window

_WINDOW = 1 << 20
_MOST_HEADER_BYTES = 16 << 10
_USUAL_HEADER_BYTES = 1 << 10
"""Of a part on average: all of them are held."""
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_END = b"\r\n\r\n"
_FOLD = re.compile(rb"\r\n[ \t]+")


class MalformedMultipart(ValueError):
    """The body is no multipart of this boundary, or not all of it is there; the message says which."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its header lines by lower-case name, and `length` bytes from `start` of the file on."""

    headers: Mapping[str, str]
    start: int
    length: int

    def open(self, file: BinaryIO) -> BinaryIO:
        """What the part holds as a file of its own; of one `file` one part is read at a time."""
        return file_window(file, self.start, self.length)


def content_type(header: str) -> tuple[str, dict[str, str]]:
    """(media type in lower case, parameters by lower-case name) of a Content-Type, "" where there is none.

    Values with a slash need no quotation marks: many clients write `type=application/dicom`.
    """
    message = Message()
    message["Content-Type"] = header.replace("\r", " ").replace("\n", " ")
    (media_type, _), *parameters = message.get_params() or [("", "")]
    return media_type.strip().lower(), {name.strip().lower(): value.strip() for name, value in parameters}


def read_parts(file: BinaryIO, boundary: str) -> Iterator[Part]:
    """The parts of the body that `file`, which can seek, holds from its start on.

    Raises MalformedMultipart, also at the end, when the closing delimiter has not come: who wants all or
    nothing reads all parts before using one.
    """
    if not _BOUNDARY.fullmatch(boundary):
        raise MalformedMultipart("the boundary is missing or malformed")
    dashes = b"--" + boundary.encode("ascii")
    scanner = _Scanner(file)
    position, closed = _first(scanner, dashes)
    room = _MOST_HEADER_BYTES
    while not closed:
        headers, start = _headers(scanner, position)
        room += _USUAL_HEADER_BYTES - (start - position)
        if room < 0:
            raise MalformedMultipart("the header lines of the parts are too long")
        # a part without content has no line end of its own before the delimiter
        end, position, closed = _next(scanner, dashes, max(start - 2, 0))
        length = max(0, end - start)
        _check_length(headers, length)
        yield Part(headers, start, length)


class _Scanner:
    """Finds and reads bytes by way of one window of the file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._start = 0
        self._window = b""

    def find(self, needle: bytes, start: int) -> int:
        """Where `needle` stands from `start` on; MalformedMultipart when it does not."""
        if not self._start <= start < self._start + len(self._window):
            self._load(start)
        while True:
            found = self._window.find(needle, start - self._start)
            if found >= 0:
                return self._start + found
            end = self._start + len(self._window)
            start = max(start, end - len(needle) + 1)
            self._load(start)
            if self._start + len(self._window) <= end:
                raise MalformedMultipart("the body ends before its closing delimiter")

    def read(self, start: int, length: int) -> bytes:
        """Up to `length` bytes from `start` on."""
        if start < self._start or start + length > self._start + len(self._window):
            self._load(start)
        offset = start - self._start
        return self._window[offset : offset + length]

    def _load(self, start: int) -> None:
        self._file.seek(start)
        self._start, self._window = start, self._file.read(_WINDOW)


def _first(scanner: _Scanner, dashes: bytes) -> tuple[int, bool]:
    """As `_after_delimiter`, of the first delimiter, before which there need be nothing."""
    if scanner.read(0, len(dashes)) == dashes:
        with suppress(_NoDelimiterError):
            return _after_delimiter(scanner, len(dashes))
    return _next(scanner, dashes, 0)[1:]


def _next(scanner: _Scanner, dashes: bytes, start: int) -> tuple[int, int, bool]:
    """(end of what stands before, start of what follows, whether it is the last) of the next delimiter."""
    while True:
        end = scanner.find(b"\r\n" + dashes, start)
        try:
            return end, *_after_delimiter(scanner, end + 2 + len(dashes))
        except _NoDelimiterError:
            start = end + 2


class _NoDelimiterError(Exception):
    """What begins as a delimiter goes on as something else: it belongs to the part."""


def _after_delimiter(scanner: _Scanner, position: int) -> tuple[int, bool]:
    """Where the line of a delimiter ends, and whether the delimiter is the closing one."""
    rest = scanner.read(position, 256)
    if rest[:2] == b"--":
        return position + 2, True
    line = rest.lstrip(b" \t")
    if line[:2] == b"\r\n":
        return position + len(rest) - len(line) + 2, False
    if not rest:
        raise MalformedMultipart("the body ends before its closing delimiter")
    raise _NoDelimiterError


def _headers(scanner: _Scanner, start: int) -> tuple[dict[str, str], int]:
    """The header lines from `start` on, and where the content begins."""
    head = scanner.read(start, _MOST_HEADER_BYTES)
    if head[:2] == b"\r\n":
        return {}, start + 2
    end = head.find(_END)
    if end < 0:
        raise MalformedMultipart("the header lines of a part do not end")
    headers: dict[str, str] = {}
    for line in _FOLD.sub(b" ", head[:end]).split(b"\r\n"):
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or not name.strip():
            raise MalformedMultipart("a header line of a part is malformed")
        headers[name.strip().lower()] = value.strip()
    return headers, start + end + len(_END)


def _check_length(headers: Mapping[str, str], length: int) -> None:
    told = headers.get("content-length")
    if told is not None and told != str(length):
        raise MalformedMultipart("a part is not as long as its Content-Length says")
