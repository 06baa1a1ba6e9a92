"""Tickets: what a browser that has logged in gives to a viewer, so that this may read one study.

A ticket rests on the session that it came of: logging out ends it, and so does what ends its user's login. It
is known like a session, by the SHA-256 of it in the database or Redis, and a web process believes what it has
read of one for a few seconds. It is good for reading below one base path, and never for more than its user
may do.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Thread
from typing import Protocol

from dicomweb_gateway.access.caller import Caller
from dicomweb_gateway.access.kept import Lookups
from dicomweb_gateway.access.living_rows import LivingRows
from dicomweb_gateway.access.session_content import (
    digest_of,
    is_id,
    new_id,
    seal,
    written_caller,
)
from dicomweb_gateway.access.sessions import Session
from dicomweb_gateway.index.tickets import TicketRow

_MARK_DIGITS = 16


class TicketStore(Protocol):
    """Where tickets are kept; see SqlTickets and RedisTickets. Who ends sessions there ends their tickets."""

    def add(self, row: TicketRow, unseen_since: int) -> bool:
        """Keep a new ticket, and forget those that ended or were not seen since `unseen_since`.

        False, and nothing is kept, where its session has ended.
        """
        ...

    def find(self, digest: str) -> TicketRow | None:
        """The ticket of that digest; None without one."""

    def touch(self, digest: str, seen_at: int) -> None:
        """Note that it was seen."""


@dataclass(frozen=True, slots=True)
class TicketLimits:
    """Seconds: without a request, in all, and for which a process believes what it has read."""

    idle: int = 2 * 3600
    absolute: int = 8 * 3600
    kept: float = 5.0


@dataclass(frozen=True, slots=True)
class Ticket:
    """For whom it reads, what: `study` below the base path `path`."""

    caller: Caller
    path: str
    study: str
    row: TicketRow

    @property
    def mark(self) -> str:
        """What names it in the audit log, and opens nothing."""
        return self.row.digest[:_MARK_DIGITS]


class Tickets:
    """`still` says whom a ticket is of by what holds now, None where that login holds no longer.

    `secret` is that of the service: tickets that it never made are known by it, without looking. `aside` runs
    what no request must wait for.
    """

    def __init__(
        self,
        store: TicketStore,
        still: Callable[[Caller, str], Caller | None],
        secret: bytes,
        limits: TicketLimits | None = None,
        clock: Callable[[], float] = time.time,
        aside: Callable[[Callable[[], None]], None] = lambda work: Thread(target=work, daemon=True).start(),
    ) -> None:
        self._store = store
        self._secret = secret
        self._limits = limits or TicketLimits()
        self._clock = clock
        self._lookups: Lookups[Ticket] = Lookups(self._limits.kept, clock)
        self._living = LivingRows("ticket", store, still, self._limits.idle, clock, aside)

    def give(self, session: Session, path: str, study: str) -> tuple[str, Ticket] | None:
        """(a new ticket as the viewer presents it, what is known of it); it ends when the session must.

        None where the session has ended meanwhile. Raises IndexUnavailable, LoginUnavailable.
        """
        text, now = new_id(self._secret), int(self._clock())
        content = {
            "caller": written_caller(session.caller),
            "proof": session.proof,
            "path": path,
            "study": study,
        }
        row = TicketRow(
            digest_of(text),
            session.row.digest,
            session.row.owner,
            seal(text, content),
            now,
            now,
            min(now + self._limits.absolute, session.row.ends_at),
        )
        if not self._store.add(row, now - self._limits.idle):
            return None
        return text, Ticket(session.caller, path, study, row)

    def find(self, text: str) -> Ticket | None:
        """What `text` is a ticket for; None for what is none, or none any more.

        Raises IndexUnavailable, LoginUnavailable.
        """
        if not is_id(text, self._secret):
            return None
        digest = digest_of(text)
        ticket = self._lookups.find(digest, lambda: self._looked_up(text, digest))
        return ticket if ticket is not None and ticket.row.ends_at > self._clock() else None

    def forget(self) -> None:
        """Believe nothing that was read before: sessions have ended."""
        self._lookups.forget_all()

    def _looked_up(self, text: str, digest: str) -> Ticket | None:
        row = self._store.find(digest)
        found = None if row is None else self._living.opened(text, row)
        if row is None or found is None:
            return None
        then, caller, content = found.then, found.caller, found.content
        # never more than its user could do when it was given
        groups, scopes = caller.groups & then.groups, caller.scopes & then.scopes
        return Ticket(replace(caller, groups=groups, scopes=scopes), content["path"], content["study"], row)
