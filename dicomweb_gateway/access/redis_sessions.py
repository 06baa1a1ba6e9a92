"""Sessions of browsers in Redis, and with them the tickets that they gave to viewers."""

from typing import Any

from dicomweb_gateway.index.sessions import MOST_SESSIONS, SessionRow
from dicomweb_gateway.index.tickets import MOST_TICKETS, TicketRow
from dicomweb_gateway.shared.redis_keeper import RedisKeeper
from dicomweb_gateway.shared.redis_rows import RedisRows

_MOST_OF_OWNER = 10_000
"""Tickets of all sessions of one user."""


class RedisSessions(RedisRows[SessionRow]):
    """The sessions in `server`, and the end of the tickets there. All raise LoginUnavailable."""

    def __init__(self, server: RedisKeeper, secret: bytes) -> None:
        super().__init__(server, secret, "kept-session", SessionRow, {"owner": MOST_SESSIONS})
        self._tickets = RedisTickets(server, secret, self)

    @property
    def tickets(self) -> "RedisTickets":
        """Those that end with these sessions."""
        return self._tickets

    def add(self, row: SessionRow, unseen_since: int) -> None:
        """Keep a new session, and forget those of its owner that were last seen before `unseen_since`.

        Of its owner's 1,000 stay, those that were seen last.
        """
        self._add(row, unseen_since)

    def remove(self, digest: str) -> None:
        """End it, and the tickets that it gave, also when it has ended already."""
        self._remove(digest, self._tickets.crowd("of_session", digest))

    def remove_of(self, owner: str) -> None:
        """End all of an owner, tickets too, at once."""
        self._server.delete(self.crowd("owner", owner), self._tickets.crowd("owner", owner))


class RedisTickets(RedisRows[TicketRow]):
    """The tickets in `server`, which end with their `sessions`. All raise LoginUnavailable."""

    def __init__(self, server: RedisKeeper, secret: bytes, sessions: RedisSessions) -> None:
        crowds = {"of_session": MOST_TICKETS, "owner": _MOST_OF_OWNER}
        super().__init__(server, secret, "kept-ticket", TicketRow, crowds)
        self._sessions = sessions

    def add(self, row: TicketRow, unseen_since: int) -> bool:
        """Keep a new ticket, and forget those of its owner that were last seen before `unseen_since`.

        Of its session's 100 stay, those that were seen last. False, and nothing is kept, where the session
        has ended: a process may believe in it a little longer, and no logout would end that ticket.
        """
        session = self._sessions.row_name(row.of_session)
        owners = self._sessions.crowd("owner", row.owner)

        def has_session(pipeline: Any) -> bool:
            return bool(pipeline.exists(session)) and pipeline.zscore(owners, row.of_session) is not None

        return self._add(row, unseen_since, (session, owners), has_session)
