"""Request and response heads at little cost, for waitress.

A client sends the same header lines with each request of a connection, and answers differ in little more
than their lengths. So the lines that came last on a connection are compared, not parsed again; whatever is
not quite plain goes to waitress as it came.
"""

import re
import time
from collections.abc import Iterable
from copy import copy
from functools import lru_cache
from typing import Any

from waitress.parser import HTTPRequestParser
from waitress.utilities import BadRequest, build_http_date

from dicomweb_gateway.service.account import Account
from dicomweb_gateway.service.body_file import BodyFile
from dicomweb_gateway.service.chunks import Chunks
from dicomweb_gateway.service.server_limits import ServerLimits
from dicomweb_gateway.service.strict import (
    BARE_LINE_END,
    NO_HTTP,
    InsufficientStorage,
    LoginNeeded,
    RefusedHead,
    check_header_lines,
    check_request_line,
    origin_in,
)

_PLAIN = re.compile(rb"(GET|HEAD) (/(?!/)[0-9A-Za-z._~,/-]*)(?:\?([!-\"$-~]*))? HTTP/1\.1")
"""A request line of which no part needs decoding."""
_LONGEST = 4096
"""Bytes of header lines that are remembered for a connection, and of request lines that are not looked at."""
_TOO_LONG = b"GET / HTTP/1.0\r\n"
_MOST_BLANKS = 8
"""Blank lines before a request, in pairs; old clients send one (RFC 9112 2.2)."""
_LIMITS = ServerLimits()


class Head:
    """The header lines of a request without a body, `lines`, and what they say.

    `repeated` are the names, as in the environment, of those that came more than once. `environ` is the WSGI
    environment of a request with them, once one has been made.
    """

    __slots__ = ("environ", "headers", "lines", "repeated")

    def __init__(self, lines: bytes, headers: dict[str, str], repeated: frozenset[str]) -> None:
        self.lines = lines
        self.headers = headers
        self.repeated = repeated
        self.environ: dict[str, Any] | None = None


class RequestParser(HTTPRequestParser):  # type: ignore[misc, unused-ignore]
    """waitress's parser, which knows the `head` that came before on this connection.

    When a request has been parsed `head` is its own, None for one that is not plain.
    """

    first_line: Any
    headers: Any
    body_rcv: Any
    chunked: bool
    command: Any
    version: Any
    path: Any
    query: Any
    request_uri: Any
    head: Head | None
    task: Any
    """What answers the request, once it has been begun."""
    account: Account | None
    """Of its answer, likewise."""
    owner: Any
    """The connection, which is told when the request is over."""
    origin: str | None
    """The page that sent a request which could not be read."""
    body_file: BodyFile | None
    """Where the body of a request goes that stores instances."""
    empty: Any
    blanks: int
    """How many pairs of blank lines came in the place of a request since the last one."""
    repeated: frozenset[str] = frozenset()
    """Names, as in the environment, of headers that came in several lines: waitress joins their values."""

    def __init__(
        self, adj: Any, before: Head | None, limits: ServerLimits | None = None, blanks: int = 0
    ) -> None:
        super().__init__(adj)
        self.head = before
        self.blanks = blanks
        self.task = self.account = self.owner = self.origin = self.body_file = None
        self._limits = limits or _LIMITS

    def received(self, data: bytes) -> int:
        """See HTTPRequestParser; what is refused is not read to its end."""
        try:
            consumed: int = super().received(data)
        except RefusedHead as refused:
            self._refuse(refused.error, data)
            return len(data)
        if self.empty:
            self.blanks += 1
            if self.blanks > _MOST_BLANKS:
                # who sends nothing else would hold the connection for ever
                self.empty = False
                self._refuse(BadRequest("there are blank lines in the place of a request"), b"")
        if self.body_file is not None and self.body_file.failure and self.error is None:
            self._refuse(InsufficientStorage(self.body_file.failure), b"")
            return len(data)
        if not self.completed and not self.headers_finished:
            if b"\n" in data and BARE_LINE_END.search(self.header_plus):
                self._refuse(BadRequest("a line of the head does not end as lines do"), b"")
            elif NO_HTTP.match(self.header_plus):
                self._refuse(BadRequest("this is no HTTP request"), b"")
        elif self.error is not None and self.origin is None:
            self.origin = origin_in(self.header_plus + data)
        return consumed

    def close(self) -> None:
        """The request is over, whether it was answered or not."""
        super().close()
        owner, self.owner = self.owner, None
        if owner is not None:
            owner.is_over(self)

    def _refuse(self, error: Any, data: bytes) -> None:
        self.error = error
        self.origin = origin_in(self.header_plus + data)
        self.completed = self.headers_finished = True
        self.version, self.connection_close = "1.1", True

    def parse_header(self, header_plus: bytes) -> None:
        """See HTTPRequestParser; RefusedHead."""
        first_line, _, lines = header_plus.partition(b"\r\n")
        plain = _PLAIN.fullmatch(first_line)
        known, self.head = self.head, None
        if plain is None or known is None or known.lines != lines or len(first_line) > _LONGEST:
            # waitress's own, when the head is too long to be looked at
            if header_plus != _TOO_LONG:
                check_request_line(first_line, self._limits)
                check_header_lines(first_line, lines, self._limits)
            super().parse_header(header_plus)
            self.repeated = _repeated(lines)
            self._make_room()
            if self.chunked:
                # waitress refuses what is as large
                self.body_rcv = Chunks(self.body_rcv.getbuf(), self.adj.max_request_body_size - 1)
            if plain is not None and self.body_rcv is None and not self.expect_continue:
                self._remember(lines)
            return
        command, path, query = plain.groups(b"")
        self.first_line = first_line
        self.headers = known.headers.copy()
        self.repeated = known.repeated
        self.command, self.version = command.decode(), "1.1"
        self.request_uri = first_line[len(command) + 1 : -9].decode()
        self.proxy_scheme = self.proxy_netloc = self.fragment = ""
        self.path, self.query = path.decode(), query.decode()
        self.url_scheme = self.adj.url_scheme
        self.connection_close = known.headers.get("CONNECTION", "").lower() == "close"
        self.head = known

    def _make_room(self) -> None:
        """Let the body of a request that stores instances be as long as that may be, and lie in a file."""
        if self.body_rcv is None or not self._limits.is_store(self.command, self.path):
            return
        needed = self._limits.store_credentials
        if needed and "token=" not in self.query and not any(name in self.headers for name in needed):
            # no disk is filled by those who do not even try to log in
            raise RefusedHead(LoginNeeded("a login is needed to store"))
        self.body_file = BodyFile(self._limits.body_folder, self._limits.min_free_bytes)
        receiver: Any = self.body_rcv
        receiver.buf = self.body_file
        self.adj = copy(self.adj)
        # waitress refuses what is as large
        self.adj.max_request_body_size = self._limits.store_bytes + 1

    def _remember(self, lines: bytes) -> None:
        if len(lines) <= _LONGEST:
            self.head = Head(lines, self.headers.copy(), self.repeated)


def _repeated(lines: bytes) -> frozenset[str]:
    """See `Head`. Names with underscores are left out, as waitress leaves them out of the environment."""
    names = [
        line.partition(b":")[0].strip().upper()
        for line in lines.split(b"\r\n")
        if line and line[:1] not in b" \t"
    ]
    if len(set(names)) == len(names):
        return frozenset()
    several = {name for name in names if b"_" not in name and names.count(name) > 1}
    return frozenset(f"HTTP_{name.decode('latin-1').replace('-', '_')}" for name in several)


def remember_environ(request: RequestParser, environ: dict[str, Any]) -> None:
    """Note what waitress made of `request`, before the application sees it."""
    if request.head is not None and request.head.environ is None:
        request.head.environ = environ.copy()


def environ_of(request: RequestParser) -> dict[str, Any] | None:
    """The WSGI environment of `request`, None where none with its header lines is remembered."""
    head = request.head
    if head is None or head.environ is None:
        return None
    return {
        **head.environ,
        "REQUEST_METHOD": request.command,
        "PATH_INFO": request.path,
        "REQUEST_URI": request.request_uri,
        "QUERY_STRING": request.query,
        "wsgi.input": request.get_body_stream(),
    }


def response_head(status: str, headers: Iterable[tuple[str, str]], has_body: bool = True) -> bytes | None:
    """The head of an answer whose length is stated and whose connection stays; None where waitress must look.

    One that has no body, 204 or 304, needs no length; waitress would end the connection after each.
    `headers` are without line ends, as `start_response` has checked.
    """
    lines = [f"HTTP/1.1 {status}"]
    is_dated = has_length = False
    for name, value in headers:
        written = _written(name)
        if written in ("Server", "Connection"):
            return None
        is_dated = is_dated or written == "Date"
        if written == "Content-Length":
            if not has_body:
                continue
            has_length = True
        lines.append(f"{written}: {value}")
    if has_body and not has_length:
        return None
    if not is_dated:
        lines.append(f"Date: {_date(int(time.time()))}")
    lines.append("\r\n")
    return "\r\n".join(lines).encode("latin-1")


@lru_cache(maxsize=512)
def _written(name: str) -> str:
    return "-".join(part.capitalize() for part in name.split("-"))


@lru_cache(maxsize=4)
def _date(second: int) -> str:
    date: str = build_http_date(second)
    return date
