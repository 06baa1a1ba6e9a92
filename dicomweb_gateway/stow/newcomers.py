"""Requests that store into a study that nobody knows yet go one after the other: the first says whose it is.

Two that come at once with two patients would otherwise each find the study free, and both be stored into it.
"""

import fcntl
import os
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path

from dicomweb_gateway.errors import GatewayBusy, StorageUnavailable
from dicomweb_gateway.stow.clashes import Owners

_LOCKS = 256
_PAUSE = 0.02

Beyond = Callable[[Collection[str], float], AbstractContextManager[None]]
"""Locks of all hosts, by names that are few and by a deadline; see `index.server_locks.ServerLocks.alone`."""


class Newcomers:
    """Locks below `folder`, which all processes of a host share; the system lets go of them with a process.

    They are few, so a study may have to wait for another one. Who has them takes those of `beyond` too, so
    that of each host one request at most waits there for a name.
    """

    def __init__(self, folder: Path, beyond: Beyond | None = None) -> None:
        self._folder = folder
        self._beyond = beyond

    @contextmanager
    def alone_where_new(
        self, owners: Owners, datastore_id: str, study_uids: set[str], deadline: float
    ) -> Iterator[None]:
        """As `alone`, of those studies that the data store does not have."""

        def new(uids: set[str]) -> set[str]:
            return uids - owners.patients(datastore_id, sorted(uids)).keys()

        with ExitStack() as held:
            if unknown := new(study_uids):
                held.enter_context(self.alone(datastore_id, unknown, deadline))
                if not new(unknown):
                    # whoever was here before has said whose they are
                    held.close()
            yield

    @contextmanager
    def alone(self, datastore_id: str, study_uids: Collection[str], deadline: float) -> Iterator[None]:
        """Nobody else is here for these studies meanwhile.

        GatewayBusy when somebody is until `deadline` (time.monotonic), StorageUnavailable, IndexUnavailable.
        """
        names = {_name(f"{datastore_id} {study_uid}") for study_uid in study_uids}
        with ExitStack() as held:
            # in one order, or two requests wait for each other
            for name in sorted(names):
                held.callback(os.close, self._locked(name, deadline))
            if self._beyond is not None:
                held.enter_context(self._beyond(names, deadline))
            yield

    def _locked(self, name: str, deadline: float) -> int:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StorageUnavailable("the disk does not take the lock of a study") from error
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() + _PAUSE >= deadline:
                    os.close(descriptor)
                    raise GatewayBusy("another request stores into the same new study") from None
                time.sleep(_PAUSE)
            else:
                return descriptor


def _name(text: str) -> str:
    return f"{sha256(text.encode()).digest()[0] % _LOCKS:03d}"
