"""Why no whole answer came over HTTP: in words that hold neither addresses nor names."""

import pycurl


class TransportError(Exception):
    """No whole answer came; the message is one of a fixed few and says why."""


class Unreachable(TransportError):
    """No connection: name, address, proxy or certificate."""


class Interrupted(TransportError):
    """The connection ended within the answer, or before it."""


class TooSlow(TransportError):
    """Connecting took too long, or nothing came for too long, or the deadline passed."""


class TooLarge(TransportError):
    """The body is longer than the request allows."""


_E_PROXY = 97
"""CURLE_PROXY, for which pycurl has no name."""

_UNREACHABLE = {
    pycurl.E_COULDNT_RESOLVE_PROXY: "the proxy's name does not resolve",
    pycurl.E_COULDNT_RESOLVE_HOST: "its name does not resolve",
    pycurl.E_COULDNT_CONNECT: "no connection",
    pycurl.E_SSL_CONNECT_ERROR: "no TLS connection",
    pycurl.E_PEER_FAILED_VERIFICATION: "its certificate is not trusted",
    pycurl.E_SSL_CACERT_BADFILE: "the certificate bundle cannot be read",
    _E_PROXY: "the proxy refuses",
}


def error_of(code: int) -> TransportError:
    """The error for a code of libcurl's (CURLE_...)."""
    if code == pycurl.E_OPERATION_TIMEDOUT:
        return TooSlow("no connection in time")
    if code == pycurl.E_FILESIZE_EXCEEDED:
        return TooLarge("a body beyond the limit")
    if code in _UNREACHABLE:
        return Unreachable(_UNREACHABLE[code])
    return Interrupted(f"the connection broke (libcurl {code})")
