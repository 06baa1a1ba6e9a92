"""Bodies that are signed chunk by chunk: STREAMING-AWS4-HMAC-SHA256-PAYLOAD (healthimaging.md 5)."""

import hashlib
import hmac
import re
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import Any, BinaryIO

from flask import Request

from dicomweb_gateway.emulator.errors import InvalidRequest, InvalidSignature

STREAMING = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
_HEAD = re.compile(rb"([0-9a-fA-F]{1,8});chunk-signature=([0-9a-f]{64})\r\n")
_LONGEST_HEAD = 128
_EMPTY = hashlib.sha256(b"").hexdigest()
CHAIN = "dicomweb_gateway.emulator.chain"
"""In the WSGI environment: what the chunks of a verified request are checked with."""


class ChunkChain:
    """The signatures of the chunks of one request, each of which covers the one before.

    `seed` is the signature of the headers, `key` the signing key of `scope`.
    """

    def __init__(self, key: bytes, stamp: str, scope: str, seed: str) -> None:
        self._key, self._stamp, self._scope, self._last = key, stamp, scope, seed

    def check(self, data: bytes, signature: str) -> None:
        """InvalidSignature unless `signature` is that of the next chunk."""
        lines = ("AWS4-HMAC-SHA256-PAYLOAD", self._stamp, self._scope, self._last, _EMPTY)
        text = "\n".join((*lines, hashlib.sha256(data).hexdigest()))
        expected = hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, signature):
            raise InvalidSignature("The signature of a chunk does not match.")
        self._last = signature


def is_streamed(request: Request) -> bool:
    """Whether the body is in signed chunks."""
    return request.headers.get("x-amz-content-sha256") == STREAMING


@contextmanager
def opened_body(request: Request) -> Iterator[BinaryIO]:
    """The body as a file that can seek, its chunks taken out of their signatures."""
    source: Any = request.environ["wsgi.input"]
    source.seek(0)
    if not is_streamed(request):
        yield source
        return
    with TemporaryFile() as target:
        _decode(source, target, request.environ.get(CHAIN))
        told = request.headers.get("x-amz-decoded-content-length", "")
        if told and told != str(target.tell()):
            raise InvalidRequest("x-amz-decoded-content-length is not the length of the body")
        target.seek(0)
        yield target


def _decode(source: Any, target: Any, chain: ChunkChain | None) -> None:
    while True:
        head = _HEAD.match(_peek(source))
        if head is None:
            raise InvalidRequest("The body is not in signed chunks")
        source.seek(source.tell() + head.end())
        data = source.read(int(head[1], 16))
        if len(data) < int(head[1], 16):
            raise InvalidRequest("The body ends within a chunk")
        if chain is not None:
            chain.check(data, head[2].decode())
        source.read(2)
        if not data:
            return
        target.write(data)


def _peek(source: Any) -> bytes:
    position = source.tell()
    data: bytes = source.read(_LONGEST_HEAD)
    source.seek(position)
    return data
