"""How many long answers that are made while they go out one process has under way (M-8).

Each holds a megabyte or two that waits for its reader, and open files: with no bound, slow readers alone
would fill the memory.
"""

from collections.abc import Iterable
from threading import Lock
from typing import Any, cast

from flask import Request, Response
from werkzeug.wsgi import ClosingIterator, FileWrapper

from dicomweb_gateway.errors import GatewayBusy
from dicomweb_gateway.telemetry.catalogue import REFUSALS
from dicomweb_gateway.telemetry.meters import count
from dicomweb_gateway.web.responses import gateway_error_response

REFUSED = "dicomweb_gateway.refused"
"""Key of the WSGI environment: why a request is not begun."""

LONG = 1 << 20
"""Bytes from which on an answer is long."""


class Streams:
    """At most `most` long answers under way; for any thread."""

    def __init__(self, most: int = 128) -> None:
        self._most = most
        self._lock = Lock()
        self._under_way = 0

    def admitted(self, request: Request, response: Response) -> Response:
        """`response`, counted until it is closed if it is long; 503 in its place when there are too many.

        What lies ready on disk is sent by the kernel and not counted.
        """
        body = response.response
        if body is None or not _is_long(request, response):
            return response
        with self._lock:
            full = self._under_way >= self._most
            if not full:
                self._under_way += 1
        if full:
            count(REFUSALS, ("long_answers",))
            response.close()
            return gateway_error_response(GatewayBusy("too many long answers are under way"))
        response.response = ClosingIterator(cast(Iterable[bytes], body), _Once(self._ended))
        return response

    def _ended(self) -> None:
        with self._lock:
            self._under_way -= 1


class _Once:
    """Counts the end of an answer a single time, however often it is closed."""

    def __init__(self, ended: Any) -> None:
        self._ended = [ended]

    def __call__(self) -> None:
        while self._ended:
            self._ended.pop()()


def _is_long(request: Request, response: Response) -> bool:
    if request.method == "HEAD" or response.is_sequence or _is_file(request, response.response):
        return False
    length = response.content_length
    return length is None or length > LONG


def _is_file(request: Request, body: Iterable[Any]) -> bool:
    kind = request.environ.get("wsgi.file_wrapper", FileWrapper)
    return isinstance(body, kind) if isinstance(kind, type) else False
