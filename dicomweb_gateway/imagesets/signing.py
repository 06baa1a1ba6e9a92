"""Signature Version 4 for the calls of the hot path: what AWS's own signer writes, at a tenth of its cost.

A signature is the same bytes as botocore's `SigV4Auth` gives for the same headers (healthimaging.md 1.2).
"""

import hashlib
import hmac
import time
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote

_EMPTY = hashlib.sha256(b"").hexdigest()
_JSON = "application/json"


class AccessKey(NamedTuple):
    """One set of credentials; `token` None for those of a user that do not expire."""

    access_key: str
    secret_key: str
    token: str | None = None


class Signer:
    """Signs POST requests to one host. Safe from any thread.

    `offset` is in seconds and is added to this machine's clock: set it when the other side's clock is known
    to differ.
    """

    def __init__(self, host: str, region: str, service: str) -> None:
        self.offset = 0.0
        self._host = host
        self._region = region
        self._service = service
        self._scope = f"{region}/{service}/aws4_request"
        self._key: tuple[str, str, bytes] = ("", "", b"")

    def headers(
        self, key: AccessKey, path: str, query: str = "", body: bytes = b"", now: float | None = None
    ) -> list[str]:
        """The lines of the signed headers and Authorization, Host among them.

        `path` and `query` are as they stand in the request line: already percent-encoded, the query sorted
        and without `?`. A body is JSON. `now` is in seconds since the epoch, None for the clock's time.
        """
        stamp = _stamp(int((time.time() if now is None else now) + self.offset))
        names, lines, sent = self._signed(key, stamp, bool(body))
        digest = hashlib.sha256(body).hexdigest() if body else _EMPTY
        # services other than S3 sign the path encoded once more than it is sent
        canonical = f"POST\n{_quoted(path)}\n{query}\n{lines}\n\n{names}\n{digest}"
        day = stamp[:8]
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{day}/{self._scope}\n{_sha256(canonical)}"
        signature = hmac.digest(self._signing_key(key.secret_key, day), text.encode(), "sha256").hex()
        credential = f"{key.access_key}/{day}/{self._scope}"
        sent.append(
            f"Authorization: AWS4-HMAC-SHA256 Credential={credential}, "
            f"SignedHeaders={names}, Signature={signature}"
        )
        return sent

    def _signed(self, key: AccessKey, stamp: str, has_body: bool) -> tuple[str, str, list[str]]:
        """Names, canonical lines and lines to send of the headers that are signed; names stand sorted."""
        names = f"{'content-type;' if has_body else ''}host;x-amz-date"
        lines = f"host:{self._host}\nx-amz-date:{stamp}"
        sent = [f"Host: {self._host}", f"X-Amz-Date: {stamp}"]
        if has_body:
            lines = f"content-type:{_JSON}\n{lines}"
            sent.append(f"Content-Type: {_JSON}")
        if key.token:
            names += ";x-amz-security-token"
            lines += f"\nx-amz-security-token:{key.token}"
            sent.append(f"X-Amz-Security-Token: {key.token}")
        return names, lines, sent

    def _signing_key(self, secret: str, day: str) -> bytes:
        """The key of one day, derived once; another thread may derive it too, which does no harm."""
        known_secret, known_day, derived = self._key
        if known_secret == secret and known_day == day:
            return derived
        derived = b"AWS4" + secret.encode()
        for part in (day, self._region, self._service, "aws4_request"):
            derived = hmac.digest(derived, part.encode(), "sha256")
        self._key = (secret, day, derived)
        return derived


@lru_cache(maxsize=8)
def _stamp(second: int) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))


@lru_cache(maxsize=1024)
def _quoted(path: str) -> str:
    return quote(path, safe="/~")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
