"""Checks AWS Signature Version 4 of requests, with known secrets, as the service does.

Written from the algorithm's description, apart from any signer, so that it can tell when one is wrong.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, unquote

from dicomweb_gateway.emulator.chunked_signing import STREAMING, ChunkChain
from dicomweb_gateway.emulator.errors import (
    InvalidSignature,
    MissingSignature,
    UnrecognizedClient,
)

_ALGORITHM = "AWS4-HMAC-SHA256"
_SERVICE = "medical-imaging"
_UNSIGNED = "UNSIGNED-PAYLOAD"
_STAMP = "%Y%m%dT%H%M%SZ"
_TOLERANCE = 300.0
"""Seconds that a request's clock may differ from the service's."""
_AUTHORIZATION = re.compile(
    rf"{_ALGORITHM} +Credential=(?P<credential>[^, ]+), *SignedHeaders=(?P<headers>[^, ]+), *"
    r"Signature=(?P<signature>[0-9a-f]{64})"
)


@dataclass(frozen=True, slots=True)
class Secret:
    """What belongs to an access key id: its secret and, of temporary credentials, the session token."""

    key: str
    token: str | None = None


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """What a signature covers; `target` is path and query as they stood in the request line."""

    method: str
    target: str
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes
    body_digest: str = ""
    """SHA-256 of a body that is not in `body`."""


def secrets_of_texts(texts: Iterable[str]) -> dict[str, Secret]:
    """By access key id the secrets that the command line gives as `ID:SECRET[:TOKEN]`; ValueError."""
    found: dict[str, Secret] = {}
    for text in texts:
        key, _, rest = text.partition(":")
        secret, colon, token = rest.partition(":")
        if not key or not secret:
            raise ValueError("credentials are of the form ID:SECRET or ID:SECRET:TOKEN")
        found[key] = Secret(secret, token if colon else None)
    return found


def access_key_of(headers: Mapping[str, str]) -> str | None:
    """The access key id that the Authorization header names, None for unsigned requests."""
    found = re.search(r"Credential=([^/, ]+)", headers.get("authorization", ""))
    return found[1] if found else None


def check_clock(headers: Mapping[str, str], now: float) -> None:
    """InvalidSignature when a signed request was made more than five minutes from `now` (epoch seconds)."""
    stamp = headers.get("x-amz-date")
    if stamp is None:
        return
    off = _moment(stamp) - now
    if abs(off) > _TOLERANCE:
        clock = datetime.fromtimestamp(now, UTC).strftime(_STAMP)
        how = f"expired: {stamp} is now earlier" if off < 0 else f"not yet current: {stamp} is still later"
        raise InvalidSignature(f"Signature {how} than {clock} (5 min.)")


def check_signature(request: SignedRequest, secrets: Mapping[str, Secret], region: str) -> ChunkChain:
    """Raise unless one of `secrets`, by access key id, signed the request for this service and region.

    Gives what the chunks of a streamed body are checked with.

    MissingSignature without an Authorization header, UnrecognizedClient for unknown keys and tokens,
    InvalidSignature for everything else. The clock is `check_clock`'s.
    """
    authorization = _AUTHORIZATION.fullmatch(request.headers.get("authorization", "").strip())
    if authorization is None:
        raise MissingSignature("Missing Authentication Token")
    key, _, scope = authorization["credential"].partition("/")
    secret = secrets.get(key)
    if secret is None or request.headers.get("x-amz-security-token") != secret.token:
        raise UnrecognizedClient("The security token included in the request is invalid.")
    stamp = request.headers.get("x-amz-date", "")
    if scope != f"{stamp[:8]}/{region}/{_SERVICE}/aws4_request":
        raise InvalidSignature("Credential should be scoped to a valid region, service and date.")
    names = authorization["headers"].split(";")
    _require_signed(request.headers, names)
    canonical = _canonical(request, names)
    to_sign = "\n".join((_ALGORITHM, stamp, scope, hashlib.sha256(canonical).hexdigest()))
    expected = hmac.new(_signing_key(secret.key, scope), to_sign.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, authorization["signature"]):
        raise InvalidSignature(
            "The request signature we calculated does not match the signature you provided."
        )
    return ChunkChain(_signing_key(secret.key, scope), stamp, scope, expected)


def _moment(stamp: str) -> float:
    try:
        return datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC).timestamp()
    except ValueError as error:
        raise InvalidSignature("Date must be in ISO-8601 basic format") from error


def _require_signed(headers: Mapping[str, str], names: list[str]) -> None:
    needed = {"host", "x-amz-date"} | {name for name in headers if name.startswith("x-amz-")}
    missing = sorted(needed - set(names))
    if missing or names != sorted(set(names)):
        raise InvalidSignature(
            f"SignedHeaders must be sorted and hold {', '.join(missing) or 'no name twice'}"
        )


def _canonical(request: SignedRequest, names: list[str]) -> bytes:
    path, _, query = request.target.partition("?")
    headers = "".join(f"{name}:{' '.join(request.headers.get(name, '').split())}\n" for name in names)
    lines = (
        request.method,
        # what stands in the request line is encoded once; everywhere but at S3 the path is encoded again
        quote(_normal(path), safe="/-_.~"),
        _canonical_query(query),
        headers,
        ";".join(names),
        _payload_hash(request),
    )
    return "\n".join(lines).encode()


def _normal(path: str) -> str:
    """The path without empty, `.` and `..` segments, each segment percent-encoded once."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(quote(unquote(segment), safe="-_.~"))
    slash = "/" if kept and path.endswith("/") else ""
    return f"/{'/'.join(kept)}{slash}"


def _canonical_query(query: str) -> str:
    pairs = parse_qsl(query, keep_blank_values=True)
    return "&".join(
        sorted(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs)
    )


def _payload_hash(request: SignedRequest) -> str:
    actual = request.body_digest or hashlib.sha256(request.body).hexdigest()
    told = request.headers.get("x-amz-content-sha256", actual)
    if told not in (actual, _UNSIGNED, STREAMING):
        raise InvalidSignature("The provided x-amz-content-sha256 header does not match what was computed.")
    return told


def _signing_key(secret: str, scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
