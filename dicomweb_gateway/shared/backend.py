"""What a cache server must do for the shared tier; one connection, used by one thread at a time."""

from typing import Protocol


class Backend(Protocol):
    """A connection that is opened at first use and anew after `close`.

    Any exception means that the server did not do what was asked.
    """

    def get(self, key: str, limit: int) -> bytes | None:
        """The value of `key`, None without one; of a longer one `limit` bytes and at least one more."""
        ...

    def put(self, key: str, value: bytes, seconds: int) -> None:
        """Keep `value` for `seconds`."""
        ...

    def close(self) -> None:
        """Hang up."""
        ...
