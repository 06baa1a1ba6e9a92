"""The access rules as they stand in their file now."""

import logging
import threading
import time
from collections import OrderedDict
from pathlib import Path

from dicomweb_gateway.access.caller import Caller
from dicomweb_gateway.access.operations import Operation
from dicomweb_gateway.access.rules import AccessRules, read_rules
from dicomweb_gateway.errors import SettingsError
from dicomweb_gateway.sight import Sight

_LOG = logging.getLogger(__name__)
_LOOK_SECONDS = 0.5
_SETTLE_SECONDS = 0.3
"""What was written later than this may still be being written."""
_MOST_KEPT = 4096
_SAY_SECONDS = 60.0
_Asked = tuple[Caller, str | None, Operation]


class RulesFile:
    """Answers as the rules in `path` do; a file that changed is read again within a second.

    One that cannot be used any more is complained about each minute, and the rules that were read
    before hold on: neither is everybody locked out nor is anything shown that they hide. Threads share
    it.

    Editors empty a file before they write it anew, and rules that are cut off, or gone, may show more than
    whole ones. So a file is read when it has come to rest, and one without rules ends no others.
    """

    def __init__(self, path: Path | None, ae_paths: tuple[str, ...]) -> None:
        """Raises SettingsError as `read_rules` does."""
        self._path = path
        self._ae_paths = ae_paths
        self._lock = threading.Lock()
        self._state = self._seen = _state_of(path)
        self._rules: AccessRules = read_rules(path, ae_paths)
        self._looked_at = time.monotonic()
        self._sights: OrderedDict[_Asked, Sight] = OrderedDict()
        self._trouble: str | None = None
        self._say_at = float("inf")

    @property
    def trouble(self) -> str | None:
        """Why the rules in force are not those of the file, None when they are."""
        with self._lock:
            self._look()
            return self._trouble

    def origins_of(self, path: str | None) -> tuple[str, ...] | None:
        """See AccessRules.origins_of."""
        with self._lock:
            self._look()
            return self._rules.origins_of(path)

    def sight_of(self, caller: Caller, path: str | None, operation: Operation) -> Sight:
        """See AccessRules.sight_of."""
        asked = (caller, path, operation)
        with self._lock:
            self._look()
            sight = self._sights.get(asked)
            if sight is None:
                sight = self._sights[asked] = self._rules.sight_of(*asked)
                if len(self._sights) > _MOST_KEPT:
                    self._sights.popitem(last=False)
        return sight

    def _look(self) -> None:
        now = time.monotonic()
        if self._path is None or now - self._looked_at < _LOOK_SECONDS:
            return
        self._looked_at = now
        state, seen = _state_of(self._path), self._seen
        self._seen = state
        if state == self._state or not (state == seen or _is_at_rest(state)):
            if now >= self._say_at:
                self._complain(now, "they are still those of before")
            return
        self._state = state
        try:
            self._rules = self._read(self._path)
        except SettingsError as error:
            self._complain(now, str(error))
            return
        self._trouble, self._say_at = None, float("inf")
        self._sights.clear()
        _LOG.info("the access rules were read again")

    def _complain(self, now: float, why: str) -> None:
        self._trouble, self._say_at = "the file of access rules cannot be used", now + _SAY_SECONDS
        _LOG.error("the access rules did not change: %s", why)

    def _read(self, path: Path) -> AccessRules:
        rules = read_rules(path, self._ae_paths)
        if rules.rules is None and self._rules.rules is not None:
            raise SettingsError(
                f"ACCESS_RULES: {path} holds no rules any more; start anew to show everything to all who are "
                "known, or write `rules = []` to show nothing"
            )
        return rules


def _is_at_rest(state: tuple[int, int, int] | None) -> bool:
    """Whether the file was written long enough ago; a time in the future tells nothing."""
    return state is None or time.time() - state[0] / 1e9 > _SETTLE_SECONDS


def _state_of(path: Path | None) -> tuple[int, int, int] | None:
    """What changes when the file does; None where there is none."""
    try:
        found = path.stat() if path is not None else None
    except OSError:
        return None
    return None if found is None else (found.st_mtime_ns, found.st_size, found.st_ino)
