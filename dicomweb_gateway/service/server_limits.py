"""What a web process lets one connection ask and take, before any application sees it."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path


@dataclass(frozen=True)
class ServerLimits:
    """Bytes of header lines with the request line, their number, bytes of the address and of a body.

    A connection is closed on which nothing has moved for `idle_seconds`, which has not sent all header lines
    `header_seconds` after the first of them, or whose client sends a body or takes an answer at fewer than
    `slowest` bytes a second (0: at any rate) for longer than a moment.

    Requests that store instances below one of `store_paths` may have a body of `store_bytes`, which lies in
    `body_folder` (None: the system's) while they are served, as long as `min_free_bytes` are left there. If
    there are `store_credentials`, names of headers, one must be there for the body to be read.
    """

    header_bytes: int = 1 << 16
    header_lines: int = 100
    url_bytes: int = 48 << 10
    body_bytes: int = 8 << 20
    idle_seconds: int = 120
    header_seconds: float = 20
    slowest: int = 200
    store_paths: tuple[str, ...] = ()
    store_bytes: int = 2 << 30
    body_folder: Path | None = None
    min_free_bytes: int = 0
    store_credentials: tuple[str, ...] = ()

    def is_store(self, method: str, path: str) -> bool:
        """Whether a request stores instances."""
        return method == "POST" and self._stores.fullmatch(path) is not None

    @cached_property
    def _stores(self) -> re.Pattern[str]:
        paths = "|".join(map(re.escape, self.store_paths))
        return re.compile(f"/*(?:{paths})/+studies(?:/+[0-9.]+)?/*" if paths else "(?!)")


MIN_FREE_BYTES = 512 << 20
"""What frames and other files of a moment leave free on their disk."""

SLOW_SECONDS = 30.0
"""How long a client is watched before it is called slow."""
