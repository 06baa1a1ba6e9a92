"""A Redis server as a Backend."""

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry


class RedisServer:
    """One connection to the server at `url`; `timeout` in seconds, for connecting and for each read."""

    def __init__(self, url: str, timeout: float) -> None:
        self._client = Redis.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            # the second try would double the wait, and a miss costs no more than that
            retry=Retry(NoBackoff(), 0),
            max_connections=1,
            protocol=2,
        )

    def get(self, key: str, limit: int) -> bytes | None:
        """The value; `limit` bytes and one more are read at most, for others may have put more there."""
        found: bytes | str = self._client.getrange(key, 0, limit)  # type: ignore[assignment, unused-ignore]
        return found if isinstance(found, bytes) and found else None

    def put(self, key: str, value: bytes, seconds: int) -> None:
        """Keep `value`."""
        self._client.set(key, value, ex=seconds)

    def close(self) -> None:
        """Hang up."""
        self._client.close()
