"""What web processes and fetchers say to each other over a Unix stream socket, as pure bytes.

A message is 12 bytes (magic "DGW1", header length, payload length, little endian), an orjson header and an
optional payload. A request is {id, op, frames, inline, seconds}, an answer {id, ok, ...}; ids are the asker's
own.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from dicomweb_gateway.errors import (
    CorruptFrame,
    DecodersUnavailable,
    FetchersUnavailable,
    GatewayError,
    UpstreamBusy,
    UpstreamDenied,
    UpstreamError,
    UpstreamFailed,
    UpstreamNotFound,
    UpstreamThrottled,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from dicomweb_gateway.imagesets.store import FrameKey, WantedFrame

MAX_HEADER = 1 << 20
MAX_FRAMES = 1024
"""Frames that one request may name; with ids of AHI's length that stays far below MAX_HEADER."""

HELLO = 0
"""The answer id with which a fetcher greets a new connection."""

_PREFIX = struct.Struct("<4sII")
_MAGIC = b"DGW1"
_ERRORS: dict[str, type[GatewayError]] = {
    kind.__name__: kind
    for kind in (
        CorruptFrame,
        DecodersUnavailable,
        FetchersUnavailable,
        UpstreamBusy,
        UpstreamDenied,
        UpstreamFailed,
        UpstreamNotFound,
        UpstreamThrottled,
        UpstreamTimeout,
        UpstreamUnavailable,
    )
}

Operation = Literal["get", "extend", "prefetch", "cancel", "stats"]
_OPERATIONS = ("get", "extend", "prefetch", "cancel", "stats")


class ProtocolError(Exception):
    """The other side does not speak this protocol; the connection is of no more use."""


@dataclass(frozen=True, slots=True)
class Request:
    """`get` names one frame, `prefetch` any number, `cancel` takes back the get with the same id.

    `inline` asks for the frame's bytes in the answer although they may lie in the store. `seconds` is how
    long the get is waited for from now on, None for as long as it takes; `extend` says it anew. `request_id`
    is what the request is called in logs.
    """

    id: int
    op: Operation
    frames: tuple[WantedFrame, ...] = ()
    inline: bool = False
    seconds: float | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """`length` says that the frame lies in the store; else `payload` holds it, or `error` tells why not.

    `is_new`: it has just been put there for somebody who asked, so its file needs no look. `is_bare`: it is
    known to be a codestream without boxes. `stats` holds counters, also in the greeting, where they are the
    fetcher's name and process id.
    """

    id: int
    length: int | None = None
    payload: bytes | None = None
    error: GatewayError | None = None
    stats: dict[str, Any] | None = None
    is_new: bool = False
    is_bare: bool = False


def encode_request(request: Request) -> bytes:
    """The message of a request."""
    frames = [[*frame.key, *_facts(frame)] for frame in request.frames]
    header = {
        "id": request.id,
        "op": request.op,
        "frames": frames,
        "inline": request.inline,
        "seconds": request.seconds,
        "request_id": request.request_id,
    }
    return _prefixed(orjson.dumps(header), 0)


def encode_answer(answer: Answer) -> list[bytes]:
    """The message of an answer as the pieces to send; the payload is not copied."""
    header: dict[str, Any] = {"id": answer.id, "ok": answer.error is None}
    if answer.error is not None:
        header["error"] = _error_name(answer.error)
        # what a codec says may hold anything
        header["message"] = str(answer.error).encode("utf-8", "replace").decode()
        header["retry_after"] = getattr(answer.error, "retry_after", None)
    if answer.stats is not None:
        header["stats"] = answer.stats
    if answer.length is not None:
        header["length"] = answer.length
        header["new"], header["bare"] = answer.is_new, answer.is_bare
    payload = answer.payload or b""
    return [_prefixed(orjson.dumps(header), len(payload)), payload]


def parse_request(header: dict[str, Any]) -> Request:
    """The request that a message's header spells; ProtocolError when it spells none."""
    try:
        number, op, frames = header["id"], header["op"], header["frames"]
        if op not in _OPERATIONS or type(number) is not int or len(frames) > MAX_FRAMES:
            raise ProtocolError("no request")
        wanted = tuple(_wanted(row) for row in frames)
    except (KeyError, TypeError, ValueError) as error:
        raise ProtocolError("no request") from error
    if op == "get" and len(wanted) != 1:
        raise ProtocolError("a get names one frame")
    seconds = header.get("seconds")
    if not isinstance(seconds, int | float | None):
        raise ProtocolError("a time that is no number")
    name = header.get("request_id")
    if not isinstance(name, str | None):
        raise ProtocolError("a request id that is no text")
    return Request(number, op, wanted, header.get("inline") is True, seconds, name)


def parse_answer(header: dict[str, Any], payload: bytes) -> Answer:
    """The answer that a message's header and payload spell; ProtocolError when they spell none."""
    number, length, stats = header.get("id"), header.get("length"), header.get("stats")
    if type(number) is not int or not isinstance(length, int | None) or not isinstance(stats, dict | None):
        raise ProtocolError("no answer")
    if header.get("ok") is not True:
        return Answer(number, error=_error(header))
    is_new, is_bare = header.get("new") is True, header.get("bare") is True
    return Answer(number, length, payload or None, stats=stats, is_new=is_new, is_bare=is_bare)


@dataclass(slots=True)
class MessageReader:
    """Cuts a byte stream into messages; `max_payload` is in bytes."""

    max_payload: int = 0
    _buffer: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> Iterator[tuple[dict[str, Any], bytes]]:
        """Take `data` and give every message that is whole now; ProtocolError at the first wrong byte."""
        self._buffer += data
        while (message := self._next()) is not None:
            yield message

    def _next(self) -> tuple[dict[str, Any], bytes] | None:
        buffer = self._buffer
        if not _MAGIC.startswith(bytes(buffer[:4])):
            raise ProtocolError("not a message")
        if len(buffer) < _PREFIX.size:
            return None
        _, header_length, payload_length = _PREFIX.unpack_from(buffer)
        if header_length > MAX_HEADER or payload_length > self.max_payload:
            raise ProtocolError("a message beyond all limits")
        body = _PREFIX.size + header_length
        end = body + payload_length
        if len(buffer) < end:
            return None
        header = _header(bytes(buffer[_PREFIX.size : body]))
        payload = bytes(memoryview(buffer)[body:end])
        del buffer[:end]
        return header, payload


def _prefixed(header: bytes, payload_length: int) -> bytes:
    return _PREFIX.pack(_MAGIC, len(header), payload_length) + header


def _header(raw: bytes) -> dict[str, Any]:
    try:
        header = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise ProtocolError("a header that is no JSON") from error
    if not isinstance(header, dict):
        raise ProtocolError("a header that is no object")
    return header


def _facts(frame: WantedFrame) -> Sequence[str | int | None]:
    return frame.transfer_syntax_uid, frame.checksum, frame.bytes_per_sample


def _wanted(row: Sequence[Any]) -> WantedFrame:
    datastore_id, image_set_id, frame_id, transfer_syntax_uid, checksum, bytes_per_sample = row
    texts = (datastore_id, image_set_id, frame_id, transfer_syntax_uid)
    if not all(isinstance(text, str) for text in texts):
        raise ProtocolError("an id that is no text")
    if not isinstance(checksum, int | None) or not isinstance(bytes_per_sample, int):
        raise ProtocolError("a checksum that is no number")
    key = FrameKey(datastore_id, image_set_id, frame_id)
    return WantedFrame(key, transfer_syntax_uid, checksum, bytes_per_sample)


def _error_name(error: GatewayError) -> str:
    name = type(error).__name__
    return name if name in _ERRORS else UpstreamFailed.__name__


def _error(header: dict[str, Any]) -> GatewayError:
    kind = _ERRORS.get(str(header.get("error")), UpstreamFailed)
    message = str(header.get("message"))
    if issubclass(kind, UpstreamError):
        wait = header.get("retry_after")
        return kind(message, retry_after=float(wait) if isinstance(wait, int | float) else None)
    return kind(message)
