"""Sessions: browsers that have logged in, known by a random id in a cookie.

The database, or Redis, is the truth. A web process believes what it has read of a session for `kept` seconds,
and what the shared cache says was read by another process within as many: so whoever is logged out elsewhere
is known for twice that at most. Only the SHA-256 of an id is kept anywhere.
"""

import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from threading import Thread
from typing import Any, Protocol

import orjson

from dicomweb_gateway.access.caller import ADMIN_MODE, Caller
from dicomweb_gateway.access.kept import Lookups
from dicomweb_gateway.access.living_rows import LivingRows
from dicomweb_gateway.access.session_content import (
    derived,
    digest_of,
    is_id,
    new_id,
    seal,
    written_caller,
)
from dicomweb_gateway.index.sessions import SessionRow

MODES = ("basic", "oidc", ADMIN_MODE)
"""Logins of which a browser can have a session."""


class SessionStore(Protocol):
    """Where sessions are kept; see SqlSessions and RedisSessions."""

    def add(self, row: SessionRow, unseen_since: int) -> None:
        """Keep a new session, and forget those that ended or were not seen since `unseen_since`.

        Also its owner's that were not used for longest, where they are too many.
        """

    def find(self, digest: str) -> SessionRow | None:
        """The session of that digest; None without one."""

    def touch(self, digest: str, seen_at: int) -> None:
        """Note that it was seen."""

    def remove(self, digest: str) -> None:
        """End it."""

    def remove_of(self, owner: str) -> None:
        """End all of an owner."""


class Tier(Protocol):
    """The cache that hosts share; see SharedCache."""

    def get(self, key: tuple[str, ...]) -> bytes | None:
        """What was put under `key`."""

    def put(self, key: tuple[str, ...], value: bytes, seconds: float | None = None) -> None:
        """Keep `value` for `seconds`."""


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """Seconds: without a request, in all, and for which a process believes what it has read."""

    idle: int = 3600
    absolute: int = 12 * 3600
    kept: float = 5.0


@dataclass(frozen=True, slots=True)
class Session:
    """A login of a browser; times are Unix time.

    `proof`: what the login rested on, such as a digest of the user's hashed password; the session ends when
    that is no longer so. `csrf`: what a request that changes something must know. `id_token`: the identity
    provider's, for the logout there.
    """

    caller: Caller
    proof: str
    id_token: str
    csrf: str
    row: SessionRow


class Sessions:
    """`still` says whom a session is of by what holds now, None where its login holds no longer.

    `secret` is that of the service: ids that it never made are known by it, without looking. `aside` runs
    what no request must wait for. `ended` is called when sessions have ended here, whose tickets end too.
    """

    def __init__(
        self,
        store: SessionStore,
        still: Callable[[Caller, str], Caller | None],
        secret: bytes,
        limits: SessionLimits | None = None,
        tier: Tier | None = None,
        clock: Callable[[], float] = time.time,
        aside: Callable[[Callable[[], None]], None] = lambda work: Thread(target=work, daemon=True).start(),
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._secret = secret
        self._limits = limits or SessionLimits()
        self._tier = tier
        self._clock = clock
        self._ended = ended
        self._lookups: Lookups[Session] = Lookups(self._limits.kept, clock)
        self._living = LivingRows("session", store, still, self._limits.idle, clock, aside)

    def begin(
        self, caller: Caller, proof: str = "", id_token: str = "", old_id: str = ""
    ) -> tuple[str, Session]:
        """(a new id, the session of `caller`); that of `old_id`, which the browser had before, ends.

        Raises IndexUnavailable, LoginUnavailable.
        """
        self.end(old_id)
        session_id, now = new_id(self._secret), int(self._clock())
        content = {"caller": written_caller(caller), "proof": proof, "id_token": id_token}
        row = SessionRow(
            digest_of(session_id),
            owner_of(caller.mode, caller.name),
            seal(session_id, content),
            now,
            now,
            now + self._limits.absolute,
        )
        self._store.add(row, now - self._limits.idle)
        return session_id, Session(caller, proof, id_token, derived(session_id, "csrf"), row)

    def find(self, session_id: str) -> Session | None:
        """The session of that id; None where there is none, or none any more.

        Raises IndexUnavailable, LoginUnavailable.
        """
        digest = digest_of(session_id)
        known = self._lookups.kept(digest)
        if known is not None:
            session = known[0]
        elif is_id(session_id, self._secret):
            session = self._lookups.find(digest, lambda: self._looked_up(session_id, digest))
        else:
            return None
        return session if session is not None and session.row.ends_at > self._clock() else None

    def end(self, session_id: str) -> None:
        """Log out; what is no id, or of no session, is none. Raises IndexUnavailable, LoginUnavailable."""
        if not is_id(session_id, self._secret):
            return
        digest = digest_of(session_id)
        self._store.remove(digest)
        self._forget(digest)

    def end_all(self, session: Session) -> None:
        """Log the session's user out everywhere. Raises IndexUnavailable, LoginUnavailable."""
        self._store.remove_of(session.row.owner)
        self._forget(session.row.digest)

    def is_proof(self, session_id: str, told: str) -> bool:
        """Whether `told` is what pages of that session know, also of one that has ended; False for no id."""
        if not is_id(session_id, self._secret):
            return False
        return hmac.compare_digest(derived(session_id, "csrf").encode(), told.encode("utf-8", "replace"))

    def _forget(self, digest: str) -> None:
        self._lookups.deny(digest)
        self._ended()

    def _looked_up(self, session_id: str, digest: str) -> Session | None:
        row = self._row(digest)
        found = None if row is None else self._living.opened(session_id, row)
        if row is None or found is None:
            return None
        content = found.content
        row = replace(row, seen_at=found.seen_at)
        return Session(found.caller, content["proof"], content["id_token"], derived(session_id, "csrf"), row)

    def _row(self, digest: str) -> SessionRow | None:
        """As the store has it, or had it when another process looked a moment ago."""
        if self._tier is None:
            return self._store.find(digest)
        # named by the moment too: what is put there cannot be taken back, only go out of use
        key = ("session", digest, str(int(self._clock() // self._limits.kept)))
        told = self._tier.get(key)
        if told is not None:
            found: list[Any] = orjson.loads(told)
            return SessionRow(digest, *found)
        row = self._store.find(digest)
        if row is not None:
            told = orjson.dumps([row.owner, row.content, row.begun_at, row.seen_at, row.ends_at])
            self._tier.put(key, told, self._limits.kept)
        return row


def owner_of(mode: str, name: str) -> str:
    """What stands for the user `name` of the login `mode` wherever a session is kept."""
    return sha256(f"{mode}\0{name}".encode()).hexdigest()
