"""A thread beside the server, which sleeps until it is woken."""

import threading
from abc import ABC, abstractmethod


class Background(ABC):
    """One thread called `name`, for one life; what it does stands in `_run`, which ends at `_stop`."""

    def __init__(self, name: str) -> None:
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin, with what an earlier life left unfinished."""
        self._wake.set()
        self._thread.start()

    def wake(self) -> None:
        """There is something to do."""
        self._wake.set()

    def stop(self) -> None:
        """End the thread; what is unfinished goes on at the next start."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    @abstractmethod
    def _run(self) -> None:
        """The thread's work, until `_stop` is set."""
