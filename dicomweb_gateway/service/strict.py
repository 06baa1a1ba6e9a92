"""Requests that different servers would read differently are refused: what is smuggled lives on that.

waitress refuses much of it already (bare line ends in header lines, spaces before colons, control characters,
lengths that are no number). The rest is looked for here, in header lines that have not been seen before on
their connection.
"""

import re

from waitress.utilities import BadRequest, RequestEntityTooLarge, RequestHeaderFieldsTooLarge

from dicomweb_gateway.service.server_limits import ServerLimits

_REQUEST_LINE = re.compile(rb"[!-~]+ (?:/[!-~]*|\*|[Hh][Tt][Tt][Pp][Ss]?://[!-~]+) HTTP/1\.[01]")
"""With a path, an address of HTTP's, or the asterisk (RFC 9112 3.2); CONNECT is for proxies."""
BARE_LINE_END = re.compile(rb"(?<!\r)\n")
NO_HTTP = re.compile(rb"\s*[^\s!-~]")
"""What no request begins with, such as the greeting of a client that expects TLS."""
_ABSOLUTE = re.compile(rb"[!-~]+ (https?)://([^/?#]*)", re.IGNORECASE)
_HOST = re.compile(rb"(?:[0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+\])?(?::[0-9]{0,5})?")
"""A name or an address, with a port or without; "" where an address has none (RFC 9112 3.2)."""
_USUAL_PORT = {b"http": b":80", b"https": b":443"}
_FRAMING = (b"content-length", b"transfer-encoding", b"host")
"""Headers of which one request has one line at most, and which no name with an underscore may pass for."""
_ORIGIN = re.compile(rb"^origin:[ \t]*([!-~]+)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_LONGEST_NUMBER = 15


class UriTooLong(BadRequest):  # type: ignore[misc, unused-ignore]
    """414."""

    code = 414
    reason = "URI Too Long"


class LoginNeeded(BadRequest):  # type: ignore[misc, unused-ignore]
    """401."""

    code = 401
    reason = "Unauthorized"


class InsufficientStorage(BadRequest):  # type: ignore[misc, unused-ignore]
    """507."""

    code = 507
    reason = "Insufficient Storage"


class RefusedHead(Exception):
    """The request is not read any further; `error` is waitress's word for the answer."""

    def __init__(self, error: BadRequest) -> None:
        self.error = error
        super().__init__(error.reason)


def check_request_line(line: bytes, limits: ServerLimits) -> None:
    """RefusedHead for an address that is too long, a version that is not ours, and control characters."""
    if len(line) > limits.url_bytes:
        raise RefusedHead(UriTooLong(f"the address is longer than {limits.url_bytes} bytes"))
    if not _REQUEST_LINE.fullmatch(line):
        raise RefusedHead(BadRequest("the request line is malformed"))


def check_header_lines(request_line: bytes, lines: bytes, limits: ServerLimits) -> None:
    """RefusedHead for too many lines, folded lines, and what is doubtful of the host or the body's end."""
    found = [line for line in lines.split(b"\r\n") if line]
    if len(found) > limits.header_lines:
        error = RequestHeaderFieldsTooLarge(f"there are more than {limits.header_lines} header lines")
        raise RefusedHead(error)
    framing: dict[bytes, bytes] = {}
    for line in found:
        if line[:1] in b" \t":
            raise RefusedHead(BadRequest("a header line is folded"))
        name, _, value = line.partition(b":")
        known = name.lower().replace(b"_", b"-")
        if known in _FRAMING:
            if known in framing or b"_" in name:
                raise RefusedHead(BadRequest(f"{known.decode()} stands there twice, or is misspelt"))
            framing[known] = value.strip(b" \t")
    _check_framing(framing, request_line.endswith(b"1.0"))
    _check_host(request_line, framing.get(b"host"))


def _check_framing(framing: dict[bytes, bytes], version_1_0: bool) -> None:
    length, coding = framing.get(b"content-length"), framing.get(b"transfer-encoding")
    if coding is not None and (length is not None or (version_1_0 and coding)):
        raise RefusedHead(BadRequest("the end of the body is told in two ways"))
    if coding is not None and (b"," in coding or not coding):
        raise RefusedHead(BadRequest("the body has several transfer codings, or an empty one"))
    if length is not None and len(length) > _LONGEST_NUMBER and length.isdigit():
        raise RefusedHead(RequestEntityTooLarge("the body is too large"))


def _check_host(request_line: bytes, host: bytes | None) -> None:
    """An address that names a host itself counts more than Host (RFC 9112 3.2.2), so they must be one."""
    absolute = _ABSOLUTE.match(request_line)
    if host is not None and not _HOST.fullmatch(host):
        raise RefusedHead(BadRequest("the Host header names no host"))
    if absolute is None or host is None:
        return
    usual = _USUAL_PORT[absolute[1].lower()]
    if absolute[2].lower().removesuffix(usual) != host.lower().removesuffix(usual):
        raise RefusedHead(BadRequest("the address names another host than the Host header"))


def origin_in(head: bytes) -> str | None:
    """The page that asks, as far as it can be told of a request that could not be read."""
    found = _ORIGIN.search(head)
    return found[1].decode("latin-1") if found else None
