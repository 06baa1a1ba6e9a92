"""Sessions of browsers in the database, and with them the tickets that they gave to viewers."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Engine, delete

from dicomweb_gateway.errors import IndexUnavailable
from dicomweb_gateway.index.engine import lacks_table
from dicomweb_gateway.index.sealed_rows import SealedRows
from dicomweb_gateway.index.side_tables import gateway_session as _TABLE
from dicomweb_gateway.index.side_tables import gateway_ticket as _TICKETS


@dataclass(frozen=True, slots=True)
class SessionRow:
    """`digest` and `owner`: SHA-256 in hexadecimal; `content`: sealed text; times in seconds since 1970."""

    digest: str
    owner: str
    content: str
    begun_at: int
    seen_at: int
    ends_at: int


MOST_SESSIONS = 1000
"""Sessions of an owner: who logs in again and again must not fill the database. Many may share a user."""


class SqlSessions(SealedRows[SessionRow]):
    """The sessions in the database of `engine`; safe from any thread. All raise IndexUnavailable."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine, _TABLE, SessionRow, _TABLE.c.owner, "nobody can log in")

    def add(self, row: SessionRow, unseen_since: int) -> None:
        """Keep a new session, and forget those that have ended or were last seen before `unseen_since`.

        Of its owner's 1,000 stay, those that were seen last.
        """
        self._add(row, unseen_since, MOST_SESSIONS)

    def remove(self, digest: str) -> None:
        """End it, and the tickets that it gave."""
        self._end(_TICKETS.c.of_session == digest, _TABLE.c.digest == digest)

    def remove_of(self, owner: str) -> None:
        """End all of an owner, tickets too."""
        self._end(_TICKETS.c.owner == owner, _TABLE.c.owner == owner)

    def _end(self, tickets: ColumnElement[bool], sessions: ColumnElement[bool]) -> None:
        # first the tickets: after a failure between the two the browser can log out again
        self._end_tickets(tickets)
        self._write(lambda connection: connection.execute(delete(_TABLE).where(sessions)))
        # and those that came in between: from now on there can be no more
        self._end_tickets(tickets)

    def _end_tickets(self, tickets: ColumnElement[bool]) -> None:
        try:
            self._write(lambda connection: connection.execute(delete(_TICKETS).where(tickets)))
        except IndexUnavailable as error:
            if not lacks_table(error.__cause__):
                raise
