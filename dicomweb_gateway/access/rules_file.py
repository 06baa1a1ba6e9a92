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
_LOOK_SECONDS = 1.0
_MOST_KEPT = 4096
_Asked = tuple[Caller, str | None, Operation]


class RulesFile:
    """Answers as the rules in `path` do; a file that changed is read again within a second.

    One that cannot be used any more is complained about once, and the rules that were read before hold on:
    neither is everybody locked out nor is anything shown that they hide. Threads share it.
    """

    def __init__(self, path: Path | None, ae_paths: tuple[str, ...]) -> None:
        """Raises SettingsError as `read_rules` does."""
        self._path = path
        self._ae_paths = ae_paths
        self._lock = threading.Lock()
        self._state = _state_of(path)
        self._rules: AccessRules = read_rules(path, ae_paths)
        self._looked_at = time.monotonic()
        self._sights: OrderedDict[_Asked, Sight] = OrderedDict()

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
        state = _state_of(self._path)
        if state == self._state:
            return
        self._state = state
        try:
            self._rules = read_rules(self._path, self._ae_paths)
        except SettingsError as error:
            _LOG.error("the access rules did not change: %s", error)
            return
        self._sights.clear()
        _LOG.info("the access rules were read again")


def _state_of(path: Path | None) -> tuple[int, int, int] | None:
    """What changes when the file does; None where there is none."""
    try:
        found = path.stat() if path is not None else None
    except OSError:
        return None
    return None if found is None else (found.st_mtime_ns, found.st_size, found.st_ino)
