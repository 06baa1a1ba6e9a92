"""Users with passwords (RFC 7617), as Weasis and curl send them."""

import hmac
import os
import time
from base64 import b64decode
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from hashlib import sha256
from pathlib import Path
from threading import BoundedSemaphore, Lock

from dicomweb_gateway.access.addresses import client_key
from dicomweb_gateway.access.admin import NAME as ADMIN
from dicomweb_gateway.access.caller import Caller
from dicomweb_gateway.access.kept import KeptCallers
from dicomweb_gateway.access.passwords import DEFAULT, LONGEST, PasswordHash, unknown_password
from dicomweb_gateway.access.shared_failures import FailureBook, SharedFailures
from dicomweb_gateway.access.throttle import Throttle
from dicomweb_gateway.access.users import User, users_by_name
from dicomweb_gateway.access.watched_file import WatchedFile
from dicomweb_gateway.errors import GatewayBusy, Unauthenticated

_KEPT_SECONDS = 300.0
_LONGEST = 4 * (LONGEST + 256)
"""Characters of coded credentials."""
_LONGEST_NAME = 255
_AT_ONCE = 2
"""scrypt computations of a process under way, 16 MB each."""
_WAITING = 6
_WAIT_SECONDS = 5.0
_BUSY = "too many logins at once; try again"
_WRONG = "user name or password is wrong"


class BasicLogin:
    """Callers by user name and password, out of the file at `path`, None for none, and the `admin`.

    A password is hashed once in five minutes, whatever number of requests come with it; requests that come
    with the same one at the same time wait for each other. So many hashes are made at once that other
    requests keep their threads. A user unknown costs as much as a wrong password. `failures` are those of
    all web processes; None for a process that is alone.
    """

    def __init__(
        self,
        path: Path | None,
        admin: Callable[[], User | None] = lambda: None,
        failures: FailureBook | None = None,
    ) -> None:
        self._file: WatchedFile[dict[str, User]] | None = None
        if path is not None:
            self._file = WatchedFile(path, lambda text: users_by_name(text, path), {}, secret=True)
        self._admin = admin
        self._key = os.urandom(32)
        self._kept: KeptCallers[Caller] = KeptCallers()
        self._running: dict[bytes, Future[bool]] = {}
        self._lock = Lock()
        self._inside = BoundedSemaphore(_AT_ONCE + _WAITING)
        self._turns = BoundedSemaphore(_AT_ONCE)
        book = failures or SharedFailures(1).claim(0)
        self._users_failed = Throttle(book, free=5)
        self._addresses_failed = Throttle(book, free=50)

    @property
    def trouble(self) -> str | None:
        """What is wrong with the file."""
        return None if self._file is None else self._file.trouble

    def caller_of(self, credentials: str, address: str) -> Caller:
        """Who presents `credentials`, coded as in the header, from `address`.

        Raises Unauthenticated, TooManyRequests after too many failures, GatewayBusy.
        """
        return self.log_in(*_decoded(credentials), address)[0]

    def log_in(self, name: str, password: str, address: str) -> tuple[Caller, str]:
        """(who it is, what that rests on, for `still`); raises the same."""
        if not _is_bearable(name, password):
            raise Unauthenticated(_WRONG)
        # an IPv6 client has as many addresses as it likes
        address = client_key(address)
        user = self._user(name)
        # a changed row is another digest: what was verified by the old one no longer counts
        digest = self._digest(name, password, user)
        kept = self._kept.get(digest)
        if kept is not None and user is not None:
            return kept, _proof(user)
        one, all_of_them = f"user {address} {name}", f"address {address}"

        def check() -> None:
            self._users_failed.check(one)
            self._addresses_failed.check(all_of_them)

        check()
        if not self._is_right(digest, user, password, check) or user is None:
            self._users_failed.note_failure(one)
            self._addresses_failed.note_failure(all_of_them)
            raise Unauthenticated(_WRONG)
        self._users_failed.note_success(one)
        self._kept.put(digest, user.caller, time.time() + _KEPT_SECONDS)
        return user.caller, _proof(user)

    def still(self, caller: Caller, proof: str) -> Caller | None:
        """The user `caller` as they are now; None where they are gone, or have another password."""
        user = self._user(caller.name)
        if user is None or user.caller.mode != caller.mode or _proof(user) != proof:
            return None
        return user.caller

    def _user(self, name: str) -> User | None:
        if name == ADMIN and (admin := self._admin()) is not None:
            return admin
        return None if self._file is None else self._file.content.get(name)

    def _digest(self, name: str, password: str, user: User | None) -> bytes:
        row = "" if user is None else f"{user.password}\0{sorted(user.caller.groups)}"
        return hmac.digest(self._key, f"{name}\0{password}\0{row}".encode(), "sha256")

    def _is_right(self, digest: bytes, user: User | None, password: str, check: Callable[[], None]) -> bool:
        """Whether the password is right; found out once for all who ask for it at this moment."""
        with self._lock:
            running = self._running.get(digest)
            is_first = running is None
            if running is None:
                running = self._running[digest] = Future()
        if not is_first:
            try:
                return running.result(_WAIT_SECONDS)
            except Late:
                raise GatewayBusy(_BUSY) from None
        try:
            right = self._computed(user, password, check)
        except BaseException as error:
            running.set_exception(error)
            raise
        else:
            running.set_result(right)
            return right
        finally:
            with self._lock:
                del self._running[digest]

    def _computed(self, user: User | None, password: str, check: Callable[[], None]) -> bool:
        if not self._inside.acquire(blocking=False):
            raise GatewayBusy(_BUSY)
        try:
            if not self._turns.acquire(timeout=_WAIT_SECONDS):
                raise GatewayBusy(_BUSY)
            try:
                # others may have failed while this one waited: guesses that come at once are no way around
                check()
                return self._hash_of(user).fits(password)
            finally:
                self._turns.release()
        finally:
            self._inside.release()

    def _hash_of(self, user: User | None) -> PasswordHash:
        if user is not None:
            return user.password
        # as dear as the dearest: the time of an answer must not tell who is a user
        known = self._file.content.values() if self._file is not None else ()
        costs = [one.password.cost for one in known]
        return unknown_password(max(costs, key=lambda cost: cost.memory * cost.p, default=DEFAULT))


def name_in(credentials: str) -> str:
    """The user name in coded credentials that were refused, "" where there is none to be read."""
    try:
        return _decoded(credentials)[0]
    except Unauthenticated:
        return ""


def _decoded(credentials: str) -> tuple[str, str]:
    """(user name, password); Unauthenticated for what is none."""
    if len(credentials) > _LONGEST:
        raise Unauthenticated("the credentials are too long")
    try:
        raw = b64decode(credentials, validate=True)
    except ValueError:
        raise Unauthenticated("the credentials are malformed") from None
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        # what clients send that do not know of charset="UTF-8"
        text = raw.decode("latin-1")
    name, colon, password = text.partition(":")
    if not (colon and _is_bearable(name, password)):
        raise Unauthenticated("the credentials are malformed")
    return name, password


def _is_bearable(name: str, password: str) -> bool:
    return 0 < len(name) <= _LONGEST_NAME and len(password) <= LONGEST and (name + password).isprintable()


def _proof(user: User) -> str:
    """A digest of the hashed password: another password is another."""
    return sha256(str(user.password).encode()).hexdigest()
