"""Whether the client of a connection sends or takes so slowly that it only holds the connection."""

from typing import Any

from dicomweb_gateway.service.server_limits import SLOW_SECONDS, ServerLimits


class Pace:
    """What was seen of one connection; looked at every few seconds."""

    __slots__ = ("_half", "_limits", "_seen")

    def __init__(self, limits: ServerLimits) -> None:
        self._limits = limits
        self._half: tuple[Any, float] | None = None
        self._seen: tuple[float, int] | None = None

    def is_too_slow(self, now: float, half: Any, waiting: int, sent: int) -> bool:
        """Whether it does, `now` by time.time.

        `half` is the request that has begun to come, None while none may be read; `waiting` bytes are to be
        sent, `sent` have been.
        """
        return self._comes_too_slowly(now, half) or self._goes_too_slowly(now, waiting, sent)

    def _comes_too_slowly(self, now: float, half: Any) -> bool:
        if half is None:
            self._half = None
            return False
        if self._half is None or self._half[0] is not half:
            self._half = (half, now)
            return False
        lasted = now - self._half[1]
        if not half.headers_finished:
            return lasted >= self._limits.header_seconds
        return lasted >= SLOW_SECONDS and half.body_bytes_received < self._limits.slowest * lasted

    def _goes_too_slowly(self, now: float, waiting: int, sent: int) -> bool:
        if not waiting:
            self._seen = None
            return False
        if self._seen is None:
            self._seen = (now, sent)
            return False
        lasted = now - self._seen[0]
        if lasted < SLOW_SECONDS:
            return False
        slow = sent - self._seen[1] < self._limits.slowest * lasted
        self._seen = (now, sent)
        return slow
