"""Where the servers of the shared tier are, as plain values: the master reads settings and no clients."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SharedCacheConfig:
    """Servers and limits: `memcached` as host:port, or `redis_url`.

    A value is waited for `timeout` seconds, kept for `seconds`, and has `item_bytes` at most.
    """

    memcached: tuple[str, ...] = ()
    redis_url: str | None = None
    timeout: float = 0.05
    seconds: int = 604_800
    item_bytes: int = 1_000_000


def host_and_port(address: str) -> tuple[str, int]:
    """The parts of `host:port`; ValueError for anything else."""
    host, _, port = address.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"{address} is not host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)
