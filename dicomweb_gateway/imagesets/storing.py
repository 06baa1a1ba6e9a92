"""StoreDICOM: parts of a request to a data store's own DICOMweb, streamed and signed (healthimaging.md 5).

No SDK has the operation. The body lies on disk: it is read twice, once for the digest that the signature
covers and once to be sent, and held never.
"""

import hashlib
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO
from urllib.parse import quote, urlsplit

import orjson
import pycurl
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from dicomweb_gateway.dicom.store_response import Outcome, read_response
from dicomweb_gateway.errors import (
    PayloadTooLarge,
    UpstreamDenied,
    UpstreamFailed,
    UpstreamTimeout,
)
from dicomweb_gateway.imagesets.aws_client import ClientSettings, Endpoint, resolve
from dicomweb_gateway.imagesets.aws_errors import BodyCut, NoConnection, of_answer, seconds, translated
from dicomweb_gateway.imagesets.call_numbers import calls_tally
from dicomweb_gateway.imagesets.retries import Persistence
from dicomweb_gateway.telemetry.timeline import request_id

MOST_BYTES = 1_000_000_000
"""Of one StoreDICOM request; HealthImaging says 1 GB."""
OPERATION = "StoreDICOM"
_MOST_ANSWER = 64 << 20
_READ_BYTES = 1 << 20
_ANSWERED = (200, 202, 409)
_BUSY_SECONDS = 30
# the SDK has no types
_new_request: Any = AWSRequest
_new_signer: Any = SigV4Auth
_HOSTS = ("//runtime-medical-imaging", "//dicom-medical-imaging")


@dataclass(frozen=True, slots=True)
class Piece:
    """`head`, then [`start`, `start` + `length`) of a file."""

    file: BinaryIO
    start: int
    length: int
    head: bytes = b""


class _Body:
    """Bytes and pieces of files one after the other, read as libcurl asks for them."""

    def __init__(self, pieces: Sequence[bytes | Piece]) -> None:
        self._pieces = pieces
        self.length = sum(len(one) if isinstance(one, bytes) else one.length for one in pieces)
        self._rest = self._chunks()
        self._chunk = memoryview(b"")

    def digest(self) -> str:
        """SHA-256 of all of it, in hexadecimal."""
        digest = hashlib.sha256()
        for chunk in self._chunks():
            digest.update(chunk)
        return digest.hexdigest()

    def read(self, size: int) -> bytes:
        """The next bytes, b"" at the end."""
        if not self._chunk:
            self._chunk = memoryview(next(self._rest, b""))
        data, self._chunk = self._chunk[:size], self._chunk[size:]
        return bytes(data)

    def _chunks(self) -> Iterator[bytes]:
        for piece in self._pieces:
            if isinstance(piece, bytes):
                yield piece
                continue
            position, end = piece.start, piece.start + piece.length
            while position < end:
                piece.file.seek(position)
                data = piece.file.read(min(_READ_BYTES, end - position))
                if not data:
                    raise OSError("what is to be stored is no longer there")
                position += len(data)
                yield data


class DicomStore:
    """Stores instances; safe from any thread, and each process makes its connections at first use.

    `dicomweb_url` is where the data stores' DICOMweb is, None for that of AWS, or of `endpoint_url` itself.
    """

    def __init__(
        self, endpoint_url: str | None = None, region: str | None = None, dicomweb_url: str | None = None
    ) -> None:
        self._settings = ClientSettings(endpoint_url, region)
        self._url = (dicomweb_url or endpoint_url or "").rstrip("/")
        self._lock = threading.Lock()
        self._endpoint: Endpoint | None = None
        self._persistence = Persistence(OPERATION, _any_rate, calls_tally(), _BUSY_SECONDS, _BUSY_SECONDS)

    def store(
        self,
        datastore_id: str,
        instances: Sequence[Piece],
        deadline: float,
    ) -> list[Outcome]:
        """What became of `instances`, DICOM files of at most MOST_BYTES together, as HealthImaging says.

        Raises the UpstreamError that fits. Storing the same again changes nothing, so what may help is tried
        again until `deadline` (time.monotonic).
        """
        boundary = secrets.token_hex(16)
        body = _framed(instances, boundary)
        if _Body(body).length > MOST_BYTES:
            raise PayloadTooLarge(f"HealthImaging takes {MOST_BYTES} bytes at a time")
        digest = _Body(body).digest()

        def once() -> list[Outcome]:
            return self._send(datastore_id, body, boundary, digest, deadline)

        return self._persistence.run(once, datastore_id, datastore_id, deadline)

    def _send(
        self,
        datastore_id: str,
        pieces: Sequence[bytes | Piece],
        boundary: str,
        digest: str,
        deadline: float,
    ) -> list[Outcome]:
        endpoint = self._resolved()
        url = f"{self._url or endpoint.url.replace(*_HOSTS)}/datastore/{quote(datastore_id, safe='')}/studies"
        headers = {
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
            "Accept": "application/dicom+json",
            "X-Amz-Content-SHA256": digest,
        }
        body = _Body(pieces)
        answer, lines = BytesIO(), list[bytes]()
        easy = pycurl.Curl()
        try:
            _prepare(easy, endpoint, url, self._settings.connect_timeout, deadline)
            easy.setopt(pycurl.HTTPHEADER, _lines(_signed(endpoint, url, headers)))
            easy.setopt(pycurl.POSTFIELDSIZE_LARGE, body.length)
            easy.setopt(pycurl.READFUNCTION, body.read)
            easy.setopt(pycurl.WRITEFUNCTION, answer.write)
            easy.setopt(pycurl.HEADERFUNCTION, lines.append)
            easy.perform()
            status = int(easy.getinfo(pycurl.RESPONSE_CODE))
        except pycurl.error as error:
            raise _ours(error) from error
        finally:
            easy.close()
        return _read(status, answer.getvalue(), lines)

    def _resolved(self) -> Endpoint:
        with self._lock:
            if self._endpoint is None:
                with translated(OPERATION):
                    self._endpoint = resolve(self._settings)
            return self._endpoint


def framing_bytes(count: int) -> int:
    """What stands around `count` instances in one request, in bytes."""
    return sum(
        len(one) for one in _framed([Piece(BytesIO(), 0, 0)] * count, "0" * 32) if isinstance(one, bytes)
    )


def _framed(instances: Sequence[Piece], boundary: str) -> list[bytes | Piece]:
    head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    framed: list[bytes | Piece] = []
    for one in instances:
        framed += [head + one.head, one, b"\r\n"]
    return [*framed, f"--{boundary}--\r\n".encode()]


def _prepare(easy: Any, endpoint: Endpoint, url: str, connect_timeout: float, deadline: float) -> None:
    easy.setopt(pycurl.URL, url)
    easy.setopt(pycurl.POST, 1)
    easy.setopt(pycurl.NOSIGNAL, 1)
    easy.setopt(pycurl.NOPROXY, "")
    easy.setopt(pycurl.PROXY, endpoint.proxy)
    easy.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
    easy.setopt(pycurl.MAXFILESIZE_LARGE, _MOST_ANSWER)
    easy.setopt(pycurl.CONNECTTIMEOUT_MS, max(1, round(connect_timeout * 1000)))
    easy.setopt(pycurl.TIMEOUT_MS, max(1, round((deadline - time.monotonic()) * 1000)))
    if endpoint.ca_bundle:
        easy.setopt(pycurl.CAINFO, endpoint.ca_bundle)


def _signed(endpoint: Endpoint, url: str, headers: dict[str, str]) -> dict[str, str]:
    if endpoint.credentials is None:
        raise UpstreamDenied(f"no usable AWS credentials for {OPERATION}")
    request = _new_request("POST", url, {**headers, "Host": urlsplit(url).netloc})
    with translated(OPERATION):
        keys = endpoint.credentials.get_frozen_credentials()
        _new_signer(keys, endpoint.service, endpoint.region).add_auth(request)
    return {name: str(value) for name, value in request.headers.items()}


def _lines(headers: dict[str, str]) -> list[str]:
    named = request_id()
    also = [] if named is None else [f"X-Request-Id: {named}"]
    # waiting to be told to go on costs a second where nobody tells
    return [*(f"{name}: {value}" for name, value in headers.items()), "Expect:", *also]


def _read(status: int, body: bytes, lines: Sequence[bytes]) -> list[Outcome]:
    headers = dict(_header(line) for line in lines if b":" in line)
    if status in _ANSWERED and "x-amzn-errortype" not in headers:
        try:
            return read_response(orjson.loads(body))
        except ValueError as error:
            if status != 409:
                raise UpstreamFailed(f"HealthImaging's answer to {OPERATION} makes no sense") from error
    code = headers.get("x-amzn-errortype", "unknown").partition(":")[0][:64]
    raise of_answer(OPERATION, status, code, seconds(headers.get("retry-after")))


def _header(line: bytes) -> tuple[str, str]:
    name, _, value = line.decode("latin-1").partition(":")
    return name.strip().lower(), value.strip()


def _ours(error: pycurl.error) -> Exception:
    code = error.args[0]
    if code == pycurl.E_OPERATION_TIMEDOUT:
        return UpstreamTimeout(f"HealthImaging did not answer {OPERATION} in time")
    if code in (pycurl.E_COULDNT_CONNECT, pycurl.E_COULDNT_RESOLVE_HOST, pycurl.E_COULDNT_RESOLVE_PROXY):
        return NoConnection(f"{OPERATION} failed: no connection")
    if code in (pycurl.E_SSL_CONNECT_ERROR, pycurl.E_PEER_FAILED_VERIFICATION):
        return NoConnection(f"{OPERATION} failed: no TLS connection")
    return BodyCut(f"HealthImaging broke off {OPERATION} (libcurl {code})")


def _any_rate(_: str) -> None:
    """These are so few that their rate needs no limit of ours."""
