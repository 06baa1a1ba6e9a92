"""What a fetcher process is told at its start, as plain values."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FetcherConfig:
    """Settings of one fetcher.

    `fetchers` is how many there are in all, `number` (from 0) which of them this is: each fetches, stores and
    evicts the frames of its own folders. `verify` compares the CRC-32 of every frame before it is stored, at
    most `checks` of them at once; frames that only a decoder process may decode for that have `decoders` of
    them. A fetcher whose loop has not turned for `stuck_seconds` ends itself. `frame_rate_limit` is in calls
    a second, 0 for any, kept by all processes that name the same `rate_folder`. Sizes are in bytes, times in
    seconds.
    """

    cache_root: str
    cache_max_bytes: int
    min_free_bytes: int
    endpoint_url: str | None = None
    region: str | None = None
    fetches_in_flight: int = 32
    verify: bool = True
    number: int = 0
    fetchers: int = 1
    checks: int = 2
    connect_timeout: float = 5
    read_timeout: float = 20
    drain_seconds: float = 3
    decode_timeout: float = 30
    decoders: int = 2
    stuck_seconds: float = 60
    frame_rate_limit: float = 0
    rate_folder: str | None = None
