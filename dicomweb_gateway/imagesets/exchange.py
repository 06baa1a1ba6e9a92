"""A request over HTTP, all that is sent for it, and its answer."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from typing import Any

from dicomweb_gateway.imagesets.transport_errors import TransportError


@dataclass(frozen=True, slots=True)
class Request:
    """One POST; `headers` are whole lines. `limit` is the longest body in bytes that is taken, 0 for any."""

    url: str
    headers: list[str]
    body: bytes = b""
    limit: int = 0


@dataclass(frozen=True, slots=True)
class Hedge:
    """When an answer has not begun `after` seconds, and `allowed` says yes, the request is sent once more.

    Where it says no it is asked again after as long.
    """

    after: float
    allowed: Callable[[], bool]


@dataclass(frozen=True)
class Reply:
    """What came back; `begun` is how many seconds its first byte took, `hedged` says that two were asked."""

    status: int
    body: bytes
    begun: float
    hedged: bool
    _lines: list[bytes] = field(repr=False)

    @cached_property
    def headers(self) -> Mapping[str, str]:
        """By lower-case name; of several answers on the line (100 Continue) the last."""
        found: dict[str, str] = {}
        for line in self._lines:
            if line.startswith(b"HTTP/"):
                found = {}
                continue
            name, colon, value = line.decode("latin-1").partition(":")
            if colon:
                found[name.strip().lower()] = value.strip()
        return found


class Exchange:
    """One request and all that is sent for it; the waiting thread holds on to `done`."""

    __slots__ = (
        "deadline",
        "done",
        "error",
        "failed",
        "hedge",
        "hedge_at",
        "hedged",
        "request",
        "running",
        "won",
    )

    def __init__(self, request: Request, deadline: float | None, hedge: Hedge | None) -> None:
        self.request = request
        self.deadline = deadline
        self.hedge = hedge
        self.hedge_at = None if hedge is None else time.monotonic() + hedge.after
        self.hedged = False
        self.running: list[Transfer] = []
        self.failed: tuple[int, float, Transfer] | TransportError | None = None
        self.won: Any = None
        self.error: TransportError | None = None
        self.done = threading.Lock()
        self.done.acquire()


class Transfer:
    """One request on one connection."""

    __slots__ = ("body", "easy", "exchange", "lines", "moved_at", "seen")

    def __init__(self, exchange: Exchange, easy: Any) -> None:
        self.exchange = exchange
        self.easy = easy
        self.body = BytesIO()
        self.lines: list[bytes] = []
        self.seen = 0
        self.moved_at = time.monotonic()

    def silent_since(self) -> float:
        """The moment at which something last came; exact to how often the loop looks."""
        seen = self.body.tell() + len(self.lines)
        if seen != self.seen:
            self.seen = seen
            self.moved_at = time.monotonic()
        return self.moved_at
