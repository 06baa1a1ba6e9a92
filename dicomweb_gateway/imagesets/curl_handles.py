"""libcurl's handles of single requests, used again for the next ones."""

import os
from dataclasses import dataclass
from typing import Any

import pycurl

_DNS_SECONDS = 5
_KEEPALIVE_SECONDS = 30
_READ_BYTES = 256 << 10
_EASY_OPTIONS = {
    pycurl.NOSIGNAL: 1,
    pycurl.POST: 1,
    pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_1_1,
    pycurl.BUFFERSIZE: _READ_BYTES,
    pycurl.TCP_KEEPALIVE: 1,
    pycurl.TCP_KEEPIDLE: _KEEPALIVE_SECONDS,
    pycurl.TCP_KEEPINTVL: _KEEPALIVE_SECONDS,
    pycurl.DNS_CACHE_TIMEOUT: _DNS_SECONDS,
    pycurl.PATH_AS_IS: 1,
    # libcurl must not look into the environment itself: the SDK has, by its own rules
    pycurl.NOPROXY: "",
}


@dataclass(frozen=True, slots=True)
class TransportSettings:
    """Timeouts are in seconds: `connect_timeout` to a usable connection, `read_timeout` between bytes.

    `kept` is how many idle connections stay open at most. `ca_bundle` is a PEM file or a folder of them.
    """

    connect_timeout: float = 5
    read_timeout: float = 20
    kept: int = 32
    ca_bundle: str = ""
    proxy: str = ""


class CurlHandles:
    """The handles of one loop: as many rest as connections are kept. For one thread."""

    def __init__(self, settings: TransportSettings) -> None:
        self._settings = settings
        self._spare: list[Any] = []

    def take(self) -> Any:
        """A handle on which all is set that requests have in common."""
        return self._spare.pop() if self._spare else self._new()

    def give_back(self, easy: Any) -> None:
        """Keep a handle for the next request, or close it when there are enough."""
        if len(self._spare) >= self._settings.kept:
            easy.close()
            return
        # a handle that rests must not hold on to a frame
        easy.setopt(pycurl.WRITEFUNCTION, _ignore)
        easy.setopt(pycurl.HEADERFUNCTION, _ignore)
        self._spare.append(easy)

    def close(self) -> None:
        """Close those that rest."""
        for easy in self._spare:
            easy.close()
        self._spare.clear()

    def _new(self) -> Any:
        settings = self._settings
        easy = pycurl.Curl()
        for option, value in _EASY_OPTIONS.items():
            easy.setopt(option, value)
        easy.setopt(pycurl.CONNECTTIMEOUT_MS, max(1, round(settings.connect_timeout * 1000)))
        easy.setopt(pycurl.PROXY, settings.proxy)
        if settings.ca_bundle:
            folder = os.path.isdir(settings.ca_bundle)
            easy.setopt(pycurl.CAPATH if folder else pycurl.CAINFO, settings.ca_bundle)
            easy.setopt(pycurl.PROXY_CAPATH if folder else pycurl.PROXY_CAINFO, settings.ca_bundle)
        return easy


def _ignore(data: bytes) -> int:
    return len(data)
