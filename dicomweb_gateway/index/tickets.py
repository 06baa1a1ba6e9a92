"""Tickets of viewers in the database: one row each, found by the SHA-256 of the ticket."""

from dataclasses import dataclass

from sqlalchemy import Connection, Engine, select

from dicomweb_gateway.index.sealed_rows import SealedRows
from dicomweb_gateway.index.side_tables import gateway_session as _SESSIONS
from dicomweb_gateway.index.side_tables import gateway_ticket as _TABLE


@dataclass(frozen=True, slots=True)
class TicketRow:
    """`digest`, `owner` and `of_session`, that of the session which gave it: SHA-256 in hexadecimal.

    `content`: sealed text; times in seconds since 1970.
    """

    digest: str
    of_session: str
    owner: str
    content: str
    begun_at: int
    seen_at: int
    ends_at: int


MOST_TICKETS = 100
"""Tickets of a session."""


class SqlTickets(SealedRows[TicketRow]):
    """The tickets in the database of `engine`; SqlSessions ends them with their sessions.

    Safe from any thread. All raise IndexUnavailable.
    """

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine, _TABLE, TicketRow, _TABLE.c.of_session, "viewers get no tickets")

    def add(self, row: TicketRow, unseen_since: int) -> bool:
        """Keep a new ticket, and forget those that have ended or were last seen before `unseen_since`.

        Of its session's 100 stay, those that were seen last. False, and nothing is kept, where the session
        has ended: a process may believe in it a little longer, and no logout would end that ticket.
        """

        def has_session(connection: Connection) -> bool:
            # locked: whoever ends it now does so after this ticket, and ends that too
            query = select(_SESSIONS.c.digest).where(_SESSIONS.c.digest == row.of_session).with_for_update()
            return connection.execute(query).first() is not None

        return self._add(row, unseen_since, MOST_TICKETS, has_session)
