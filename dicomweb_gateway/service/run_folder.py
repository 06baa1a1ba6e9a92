"""The folder of the fetchers' sockets: one a running gateway, gone with it, or removed by the next one."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = "dicomweb-gateway-"
_LOCK = "lock"
_UNLOCKED_SECONDS = 3600.0
"""A folder without a lock may be one that is being made, unless it is older than this."""


@contextmanager
def run_folder() -> Iterator[Path]:
    """A new folder in the system's folder for temporary files, removed at the end.

    What a gateway of ours left there that was killed goes first. Its lock is held by the master and by all
    that it forks, so a folder counts as left behind when none of them lives.
    """
    remove_left_behind(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    with open(folder / _LOCK, "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def remove_left_behind(parent: Path) -> None:
    """Remove the run folders of dead gateways of this user below `parent`; what cannot be removed stays."""
    for folder in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            status = folder.lstat()
            if status.st_uid == os.getuid() and folder.is_dir() and not folder.is_symlink():
                _remove_if_dead(folder, status.st_mtime)


def _remove_if_dead(folder: Path, changed_at: float) -> None:
    try:
        lock = open(folder / _LOCK, "rb")  # noqa: SIM115 - closed below
    except FileNotFoundError:
        # an older version's, which names its sockets but has no lock, is not for us to judge
        if not any(folder.iterdir()) and time.time() - changed_at > _UNLOCKED_SECONDS:
            folder.rmdir()
        return
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)
