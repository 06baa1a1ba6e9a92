"""A memcached server as a Backend."""

from typing import Any

from pymemcache.client.base import Client

# the library has no types
_new_client: Any = Client


class Memcached:
    """One connection to `address`, (host, port); `timeout` in seconds, for connecting and for each read."""

    def __init__(self, address: tuple[str, int], timeout: float) -> None:
        self._client = _new_client(
            address, connect_timeout=timeout, timeout=timeout, no_delay=True, default_noreply=False
        )

    def get(self, key: str, limit: int) -> bytes | None:
        """The value; a memcached bounds its values itself, so `limit` is not needed."""
        found: bytes | None = self._client.get(key)
        return found

    def put(self, key: str, value: bytes, seconds: int) -> None:
        """Keep `value`; OSError when the server did not store it."""
        if not self._client.set(key, value, expire=seconds):
            raise OSError("memcached did not store a value")

    def close(self) -> None:
        """Hang up."""
        self._client.close()
