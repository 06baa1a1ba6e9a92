"""What the master tells others of the service's state: systemd, and who asked for a reload."""

import time
from collections.abc import Sequence

from dicomweb_gateway.service.child import Child
from dicomweb_gateway.service.notify import Notifier
from dicomweb_gateway.service.pid_file import PidFile

_LEAST_SECONDS = 0.5


class Reports:
    """`serving` says in one line what the service does; `pid_file` is where `reload` looks."""

    def __init__(
        self, notifier: Notifier | None = None, pid_file: PidFile | None = None, serving: str = "serving"
    ) -> None:
        self._notifier = notifier or Notifier()
        self._pid_file = pid_file
        self._serving = serving
        self._told_at = 0.0
        self._told = ""
        self._is_up = False

    def interval(self, usual: float) -> float:
        """Seconds after which to call `look`, `usual` at most: thrice before the watchdog bites."""
        watchdog = self._notifier.watchdog_seconds
        return usual if watchdog is None else min(usual, max(_LEAST_SECONDS, watchdog / 3))

    def started(self) -> None:
        """All children are ready for the first time."""
        self._is_up = True
        self._told = self._serving
        self._notifier.ready(self._serving)

    def reloading(self) -> None:
        """A reload begins."""
        self._notifier.reloading()

    def reloaded(self, refused: str | None) -> None:
        """A reload is through; `refused`: why nothing has changed."""
        self._told = self._serving if refused is None else f"{self._serving}; reload refused: {refused}"
        self._notifier.ready(self._told)
        if self._pid_file is not None:
            self._pid_file.note_reload(refused)

    def stopping(self) -> None:
        """The service ends."""
        self._is_up = False
        self._notifier.stopping()

    def look(self, children: Sequence[Child]) -> None:
        """Tell the watchdog that the service is well, while it is.

        It is while of each kind of children that are renewed one at least is ready: a single one that dies is
        replaced, which systemd need not know of.
        """
        now = time.monotonic()
        if not self._is_up or now - self._told_at < self.interval(5.0) / 2:
            return
        self._told_at = now
        kinds: dict[int, bool] = {}
        for child in children:
            if child.renewed:
                kinds[child.order] = kinds.get(child.order, False) or child.is_ready
        if all(kinds.values()):
            self._notifier.alive()
        down = ", ".join(child.name for child in children if child.renewed and not child.is_ready)
        told = f"{self._serving}; being replaced: {down}" if down else self._serving
        if told != self._told and (down or "replaced" in self._told):
            self._told = told
            self._notifier.status(told)
