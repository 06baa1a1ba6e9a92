"""GetImageFrame and GetImageSetMetadata without the SDK in between, but with all that the SDK knows.

The SDK resolves endpoint, region, credentials, proxy and certificates; the requests are signed and sent here.
"""

import os
import re
import threading
import time
import weakref
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, NoReturn
from urllib.parse import quote, urlsplit

import orjson

from dicomweb_gateway.errors import UpstreamDenied, UpstreamFailed, UpstreamNotFound, UpstreamTimeout
from dicomweb_gateway.imagesets.aws_client import ClientSettings, credentials_of, resolve
from dicomweb_gateway.imagesets.aws_errors import BodyCut, NoConnection, of_answer, seconds, translated
from dicomweb_gateway.imagesets.curl_handles import TransportSettings
from dicomweb_gateway.imagesets.exchange import Hedge, Reply, Request
from dicomweb_gateway.imagesets.signing import AccessKey, Signer
from dicomweb_gateway.imagesets.transport import Transport
from dicomweb_gateway.imagesets.transport_errors import Interrupted, TooLarge, TooSlow, TransportError
from dicomweb_gateway.telemetry.tally import Tally
from dicomweb_gateway.telemetry.timeline import request_id

_CLOCK_CODES = {
    "InvalidSignatureException",
    "RequestExpired",
    "RequestInTheFuture",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
}
_KEY_CODES = {
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
}
_SKEW_SECONDS = 60
_RELOAD_SECONDS = 10
_CODE = re.compile(r"[A-Za-z0-9_.]{1,64}")
_DOTS = {".", ".."}


@dataclass(frozen=True, slots=True)
class Call:
    """One POST below an image set, or below a data store where `image_set_id` is None.

    `query` is percent-encoded and sorted, `limit` in bytes, 0 for any.
    """

    operation: str
    datastore_id: str
    image_set_id: str | None
    query: str = ""
    body: bytes = b""
    limit: int = 0

    @property
    def path(self) -> str:
        """The path below the endpoint; UpstreamNotFound for ids that no path can carry."""
        return _path(self.operation, self.datastore_id, self.image_set_id)


@lru_cache(maxsize=1024)
def _path(operation: str, datastore_id: str, image_set_id: str | None) -> str:
    names = [("datastore", datastore_id)]
    if image_set_id is not None:
        names.append(("imageSet", image_set_id))
    for _, name in names:
        if not name or name in _DOTS:
            raise UpstreamNotFound(f"HealthImaging knows no such id ({operation})")
    tail = operation[0].lower() + operation[1:]
    return "".join(f"/{kind}/{quote(name, safe='')}" for kind, name in names) + f"/{tail}"


class DirectClient:
    """Makes calls from any thread; each process makes its own connections at first use."""

    def __init__(self, settings: ClientSettings, tally: Tally | None = None) -> None:
        self._settings = settings
        self._tally = tally or Tally()
        self._lock = threading.Lock()
        self._line: _Line | None = None

    def send(self, call: Call, deadline: float | None = None, hedge: Hedge | None = None) -> Reply:
        """The answer with its whole body when it is a success, else the UpstreamError that fits.

        A clock that is off and credentials that have expired are put right once each.
        """
        line = self._connected()
        put_right: set[str] = set()
        while True:
            key = line.key(call.operation)
            offset = line.signer.offset
            reply = self._exchange(line, call, key, deadline, hedge)
            if 200 <= reply.status < 300:
                return reply
            code = _code_of(reply)
            if "clock" not in put_right and code in _CLOCK_CODES and line.set_clock(reply, offset):
                put_right.add("clock")
                self._tally.add("clock_corrections")
            elif "key" not in put_right and code in _KEY_CODES and line.reload(key):
                put_right.add("key")
                self._tally.add("credential_reloads")
            else:
                raise of_answer(call.operation, reply.status, code, seconds(reply.headers.get("retry-after")))

    def close(self) -> None:
        """Break off what is under way and leave no connection open; the next call opens new ones."""
        with self._lock:
            line, self._line = self._line, None
        if line is not None:
            line.close()

    def _connected(self) -> "_Line":
        with self._lock:
            line = self._line
            if line is None or not line.usable:
                line = self._line = _Line(self._settings)
                # holds on to a parent process's line too, whose connections must not be closed from here
                weakref.finalize(self, line.close)
            return line

    def _exchange(
        self, line: "_Line", call: Call, key: AccessKey, deadline: float | None, hedge: Hedge | None
    ) -> Reply:
        request = line.request(call, key)
        try:
            reply = line.transport.send(request, deadline, hedge)
        except TransportError as error:
            _raise_ours(call.operation, error)
        if reply.hedged:
            self._tally.of(call.operation).add("hedges")
        return reply


class _Line:
    """What one process has of HealthImaging: endpoint, credentials, connections."""

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        self._owner = os.getpid()
        with translated("the first call"):
            self._endpoint = resolve(settings)
        self._credentials: Any = self._endpoint.credentials
        self._reload_lock = threading.Lock()
        self._reloaded_at = float("-inf")
        parts = urlsplit(self._endpoint.url)
        self._prefix = parts.path.rstrip("/")
        host = _host_of(parts.scheme, parts.netloc)
        self._base = f"{parts.scheme}://{host}"
        self.signer = Signer(host, self._endpoint.region, self._endpoint.service)
        self.transport = Transport(
            TransportSettings(
                connect_timeout=settings.connect_timeout,
                read_timeout=settings.read_timeout,
                kept=settings.max_connections,
                ca_bundle=self._endpoint.ca_bundle,
                proxy=self._endpoint.proxy,
            )
        )
        self._common = [
            f"User-Agent: {self._endpoint.user_agent}",
            "Accept-Encoding: identity",
            "Accept:",
            "Expect:",
        ]

    @property
    def usable(self) -> bool:
        return self._owner == os.getpid() and self.transport.alive

    def request(self, call: Call, key: AccessKey) -> Request:
        path = self._prefix + call.path
        lines = self.signer.headers(key, path, call.query, call.body)
        url = f"{self._base}{path}?{call.query}" if call.query else f"{self._base}{path}"
        named = request_id()
        # HealthImaging signs no header that it does not ask for, so this one is left out of the signature
        also = [] if named is None else [f"X-Request-Id: {named}"]
        return Request(url, self._common + lines + also, call.body, call.limit)

    def key(self, operation: str) -> AccessKey:
        """The credentials of this moment; the SDK renews those that are about to expire."""
        credentials = self._credentials
        if credentials is None:
            if not self.reload(None):
                raise UpstreamDenied(f"no usable AWS credentials for {operation}")
            credentials = self._credentials
        with translated(operation):
            return AccessKey(*credentials.get_frozen_credentials()[:3])

    def reload(self, refused: AccessKey | None) -> bool:
        """Look for credentials anew, as at a start; True when there are others than those `refused`."""
        with self._reload_lock:
            if self._other_than(refused):
                return True
            if time.monotonic() - self._reloaded_at < _RELOAD_SECONDS:
                return False
            self._reloaded_at = time.monotonic()
            with translated("credentials"):
                self._credentials = credentials_of(self._settings)
            return self._other_than(refused)

    def _other_than(self, refused: AccessKey | None) -> bool:
        if self._credentials is None:
            return False
        with translated("credentials"):
            return AccessKey(*self._credentials.get_frozen_credentials()[:3]) != refused

    def set_clock(self, reply: Reply, offset: float) -> bool:
        """Sign with the other side's time from now on; False when `offset`, used so far, was right."""
        try:
            theirs = parsedate_to_datetime(reply.headers["date"]).timestamp()
        except (KeyError, TypeError, ValueError, OverflowError):
            return False
        right = theirs - time.time()
        if abs(right - offset) < _SKEW_SECONDS:
            return False
        self.signer.offset = right
        return True

    def close(self) -> None:
        # in a forked child the thread that drives the connections does not exist
        if self._owner == os.getpid():
            self.transport.close()


def _host_of(scheme: str, netloc: str) -> str:
    """Host and port as they stand in the Host header."""
    host = netloc.rpartition("@")[2].lower()
    return host.removesuffix({"http": ":80", "https": ":443"}.get(scheme, ""))


def _code_of(reply: Reply) -> str:
    """The error's name, from header or body, without namespace and address; "unknown" when it is none."""
    name = reply.headers.get("x-amzn-errortype")
    if name is None:
        try:
            document = orjson.loads(reply.body)
        except orjson.JSONDecodeError:
            document = None
        found = document.get("__type") or document.get("code") if isinstance(document, dict) else None
        name = found if isinstance(found, str) else ""
    name = name.partition(":")[0].rpartition("#")[2]
    return name if _CODE.fullmatch(name) else "unknown"


def _raise_ours(operation: str, error: TransportError) -> NoReturn:
    if isinstance(error, TooSlow):
        raise UpstreamTimeout(f"HealthImaging did not answer {operation} in time") from error
    if isinstance(error, Interrupted):
        raise BodyCut(f"HealthImaging broke off its answer to {operation}") from error
    if isinstance(error, TooLarge):
        raise UpstreamFailed(f"the answer to {operation} is larger than allowed") from error
    raise NoConnection(f"{operation} failed: {error}") from error
