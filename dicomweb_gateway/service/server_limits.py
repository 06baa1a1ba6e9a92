"""What a web process lets one connection ask and take, before any application sees it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """Bytes of header lines with the request line, their number, bytes of the address and of a body.

    A connection is closed on which nothing has moved for `idle_seconds`, which has not sent all header lines
    `header_seconds` after the first of them, or whose client sends a body or takes an answer at fewer than
    `slowest` bytes a second (0: at any rate) for longer than a moment.
    """

    header_bytes: int = 1 << 16
    header_lines: int = 100
    url_bytes: int = 48 << 10
    body_bytes: int = 8 << 20
    idle_seconds: int = 120
    header_seconds: float = 20
    slowest: int = 200


SLOW_SECONDS = 30.0
"""How long a client is watched before it is called slow."""
