"""What sessions and tickets have in common: rows that end with time, without use, and with their login."""

import logging
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from dicomweb_gateway.access.caller import Caller
from dicomweb_gateway.access.session_content import opened, read_caller
from dicomweb_gateway.errors import GatewayError

_LOG = logging.getLogger(__name__)
_MOST_STEP = 60
"""Seconds after which a use is noted again, at most."""


class Row(Protocol):
    """The part of a row that matters here; moments are Unix time."""

    @property
    def digest(self) -> str:
        """Names it in the database."""

    @property
    def content(self) -> str:
        """What is sealed with its id."""

    @property
    def seen_at(self) -> int:
        """When it was used last, as far as that was noted."""

    @property
    def ends_at(self) -> int:
        """When it ends whatever happens."""


class RowStore(Protocol):
    """Where the rows are kept."""

    def touch(self, digest: str, seen_at: int) -> None:
        """Note that a row was seen."""


class Opened(NamedTuple):
    """A row that still holds: its content, whom it was given to, and what is true of them now."""

    content: dict[str, Any]
    then: Caller
    caller: Caller
    seen_at: int


class LivingRows:
    """Judges rows of one `kind`, and has their use noted in `store`, not at every request.

    `still` says whom a row is of by what holds now, None where its login holds no longer. `idle`: seconds
    without a request after which a row has ended. `aside` runs what no request must wait for.
    """

    def __init__(
        self,
        kind: str,
        store: RowStore,
        still: Callable[[Caller, str], Caller | None],
        idle: int,
        clock: Callable[[], float],
        aside: Callable[[Callable[[], None]], None],
    ) -> None:
        self._kind = kind
        self._store = store
        self._still = still
        self._idle = idle
        self._clock = clock
        self._aside = aside
        self._step = min(_MOST_STEP, idle // 4)

    def opened(self, text: str, row: Row) -> Opened | None:
        """What `row`, whose id is `text`, says; None when it has ended."""
        now = int(self._clock())
        if row.ends_at <= now or row.seen_at + self._idle <= now:
            return None
        content = opened(text, row.content)
        if content is None:
            return None
        then = read_caller(content["caller"])
        caller = self._still(then, content["proof"])
        if caller is None:
            return None
        if now - row.seen_at < self._step:
            return Opened(content, then, caller, row.seen_at)
        self._aside(lambda: self._note(row.digest, now))
        return Opened(content, then, caller, now)

    def _note(self, digest: str, now: int) -> None:
        try:
            self._store.touch(digest, now)
        except GatewayError as error:
            _LOG.warning("a %s's use could not be noted: %s", self._kind, error)
