"""Small JSON documents from an identity provider, bounded in size and time; redirects are not followed."""

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import orjson
import urllib3

from dicomweb_gateway.access.urls import is_loopback, is_safe_url

_MOST_BYTES = 512 << 10
_SECONDS = 8.0
_CONNECT_SECONDS = 3.0
_PIECE = 16 << 10


class FetchError(Exception):
    """No document, with the reason; `status` is that of an answer which was none."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status


class DocumentFetcher:
    """Asks for JSON documents; certificates are checked by `ca_bundle`, by default as the system does."""

    def __init__(self, ca_bundle: Path | None = None) -> None:
        self._options: dict[str, Any] = {"ca_certs": str(ca_bundle)} if ca_bundle else {}

    def get(self, url: str) -> Any:
        """The document at `url`; FetchError."""
        return self._asked("GET", url, {}, None)

    def post(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> Any:
        """The document that answers to `form`; FetchError."""
        own = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._asked("POST", url, {**headers, **own}, urlencode(form).encode())

    def _asked(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Any:
        if not is_safe_url(url):
            raise FetchError(f"{_shown(url)} is neither https nor on this machine")
        deadline = time.monotonic() + _SECONDS
        try:
            with self._manager(url) as manager:
                return orjson.loads(_body(manager, method, url, headers, body, deadline))
        except urllib3.exceptions.HTTPError as error:
            raise FetchError(f"{_shown(url)} does not answer ({type(error).__name__})") from error
        except (OSError, UnicodeError) as error:
            raise FetchError(f"{_shown(url)} cannot be asked ({type(error).__name__})") from error
        except orjson.JSONDecodeError:
            raise FetchError(f"{_shown(url)} answers something that is no JSON") from None

    def _manager(self, url: str) -> urllib3.PoolManager:
        """New for each document: between two, minutes apart, no connection stays."""
        parts = urlsplit(url)
        proxy = getproxies().get(parts.scheme)
        if proxy and not is_loopback(parts.hostname or "") and not proxy_bypass(parts.netloc):
            return urllib3.ProxyManager(proxy, **self._options)
        return urllib3.PoolManager(**self._options)


def _body(
    manager: urllib3.PoolManager,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None,
    deadline: float,
) -> bytes:
    answer = manager.request(
        method,
        url,
        body=body,
        headers={"Accept": "application/json", "User-Agent": "dicomweb-gateway", **headers},
        redirect=False,
        retries=False,
        preload_content=False,
        timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=_SECONDS),
    )
    try:
        if answer.status != 200:
            raise FetchError(f"{_shown(url)} answers {answer.status}", answer.status)
        read = bytearray()
        for piece in answer.stream(_PIECE, decode_content=False):
            read += piece
            if len(read) > _MOST_BYTES:
                raise FetchError(f"{_shown(url)} answers more than {_MOST_BYTES} bytes")
            if time.monotonic() > deadline:
                raise FetchError(f"{_shown(url)} does not come to an end")
        return bytes(read)
    finally:
        answer.close()


def _shown(url: str) -> str:
    """`url` for logs: without password and query, shortened."""
    return re.sub("//[^/]*@", "//", url.partition("?")[0])[:200]
