"""Facts that take a while to find out: looked for beside, remembered, never waited for long."""

from collections.abc import Callable, Mapping
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any

from dicomweb_gateway.errors import GatewayError

Facts = Mapping[str, Any]


class Beside:
    """Calls `find` in a thread of its own, at most every `seconds`; safe from any thread.

    Who asks first waits up to `patience` seconds, all others get what was found last. The answer's `note`
    says why it may be old or empty, None where nothing is wrong.
    """

    def __init__(self, find: Callable[[], Facts], seconds: float, patience: float = 1.0) -> None:
        self._find = find
        self._seconds = seconds
        self._patience = patience
        self._lock = Lock()
        self._due_at = float("-inf")
        self._runs = False
        self._answered = Event()
        self._found: Facts = {}
        self._note: str | None = "not known yet: look again"

    def __call__(self) -> dict[str, Any]:
        """What is known, with `note`."""
        with self._lock:
            starts = not self._runs and monotonic() >= self._due_at
            if starts:
                self._runs = True
        if starts:
            Thread(target=self._look, name="beside", daemon=True).start()
        self._answered.wait(self._patience)
        with self._lock:
            return {**self._found, "note": self._note}

    def _look(self) -> None:
        found: Facts | None = None
        note: str | None = "could not be found out; the reason is in the log"
        try:
            found, note = self._find(), None
        except GatewayError as error:
            note = f"not known now: {error}"
        finally:
            with self._lock:
                if found is not None:
                    self._found = found
                self._note = note
                self._due_at = monotonic() + self._seconds
                self._runs = False
            self._answered.set()
