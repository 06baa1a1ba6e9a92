"""What a fetcher process is told at its start, as plain values."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FetcherConfig:
    """Settings of one fetcher.

    `fetchers` is how many there are in all; the one with `janitor` set evicts for all of them. `verify`
    compares the CRC-32 of every frame before it is stored; frames that only a decoder process may decode for
    that have `decoders` of them. `frame_rate_limit` is in calls a second, 0 for any, kept by all processes
    that name the same `rate_folder`. Sizes are in bytes, timeouts in seconds.
    """

    cache_root: str
    cache_max_bytes: int
    min_free_bytes: int
    endpoint_url: str | None = None
    region: str | None = None
    fetches_in_flight: int = 32
    verify: bool = True
    name: str = "0"
    fetchers: int = 1
    janitor: bool = True
    connect_timeout: float = 5
    read_timeout: float = 20
    drain_seconds: float = 3
    decode_timeout: float = 30
    decoders: int = 2
    frame_rate_limit: float = 0
    rate_folder: str | None = None
