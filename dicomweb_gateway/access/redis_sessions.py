"""Sessions of browsers in Redis, and with them the tickets that they gave to viewers."""

from dicomweb_gateway.index.sessions import MOST_SESSIONS, SessionRow
from dicomweb_gateway.index.tickets import MOST_TICKETS, TicketRow
from dicomweb_gateway.shared.redis_keeper import RedisKeeper
from dicomweb_gateway.shared.redis_rows import RedisRows

_MOST_OF_OWNER = 10_000
"""Tickets of all sessions of one user."""


class RedisTickets(RedisRows[TicketRow]):
    """The tickets in `server`; RedisSessions ends them with their sessions. All raise LoginUnavailable."""

    def __init__(self, server: RedisKeeper, secret: bytes) -> None:
        crowds = {"of_session": MOST_TICKETS, "owner": _MOST_OF_OWNER}
        super().__init__(server, secret, "kept-ticket", TicketRow, crowds)


class RedisSessions(RedisRows[SessionRow]):
    """The sessions in `server`, and the end of `tickets`. All raise LoginUnavailable."""

    def __init__(self, server: RedisKeeper, secret: bytes, tickets: RedisTickets) -> None:
        super().__init__(server, secret, "kept-session", SessionRow, {"owner": MOST_SESSIONS})
        self._tickets = tickets

    def remove(self, digest: str) -> None:
        """End it, and the tickets that it gave, also when it has ended already."""
        self._remove(digest, self._tickets.crowd("of_session", digest))

    def remove_of(self, owner: str) -> None:
        """End all of an owner, tickets too, at once."""
        self._server.delete(self.crowd("owner", owner), self._tickets.crowd("owner", owner))
