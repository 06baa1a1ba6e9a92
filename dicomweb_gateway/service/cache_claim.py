"""A cache folder for one gateway alone, also where CACHE_ROOT is shared by hosts (EFS, NFS) or gateways.

Budgets, half-written files and what is trusted of a file are known by one gateway at a time, so none writes
into the folder of another. Whoever runs holds the lock of its folder.
"""

import fcntl
import logging
import re
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

_LOG = logging.getLogger(__name__)
HOSTS = "hosts"
"""Folder below a shared CACHE_ROOT that has one folder a host."""

_LOCK = ".gateway-lock"
_MOST = 64
_FORGOTTEN_SECONDS = 7 * 86_400
"""A host that has not started for so long and does not run is taken for gone, its frames with it."""
_SHARED_KINDS = re.compile(
    r"nfs\d?|cifs|smb\d?|smbfs|ceph|lustre|gpfs|beegfs|gfs2|ocfs2|afs|9p|virtiofs|fuse\.(?!fuse-overlayfs).+"
)
_MOUNTS = Path("/proc/self/mountinfo")


class Claims:
    """Which folder stands for which CACHE_ROOT, held until `close` or until the last fork has ended."""

    def __init__(self) -> None:
        self._held: dict[Path, tuple[Path, BinaryIO]] = {}

    def claim(self, root: Path) -> Path:
        """The folder at or below `root` for this gateway, made and locked; the same when asked again.

        On a disk of this machine that is `root` itself, or a folder in it while another gateway runs on it;
        on a shared file system a folder by the host's name. OSError when it cannot be made.
        """
        if root in self._held:
            return self._held[root][0]
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        shared = is_shared(root)
        if shared:
            _forget_lost_hosts(root / HOSTS)
        for folder in _candidates(root, shared):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = _locked(folder)
            if lock is not None:
                self._held[root] = folder, lock
                _LOG.info("cache in %s", folder)
                return folder
        raise OSError(f"{_MOST} gateways use {root} already")

    def folder(self, root: Path) -> Path:
        """What was claimed for `root`; `root` itself where nothing was, as in commands beside the gateway."""
        held = self._held.get(root)
        return root if held is None else held[0]

    def close(self) -> None:
        """Let go of all."""
        for _, lock in self._held.values():
            lock.close()
        self._held.clear()


CLAIMS = Claims()
"""Of this process and of those that it forks."""


def host_name() -> str:
    """This host's name as a folder may be called."""
    return re.sub(r"[^\w.-]", "_", socket.gethostname()) or "host"


def is_shared(folder: Path, mounts: Path = _MOUNTS) -> bool:
    """Whether other hosts may see `folder` too, by the kind of file system that it is on."""
    place = folder.resolve()
    best, kind = Path("/"), ""
    with suppress(OSError):
        for line in mounts.read_text().splitlines():
            words = line.split(" ")
            # octal escapes stand for blanks in the names of mount points
            point = Path(re.sub(r"\\(\d{3})", lambda found: chr(int(found[1], 8)), words[4]))
            if place.is_relative_to(point) and len(point.parts) >= len(best.parts):
                best, kind = point, words[words.index("-") + 1]
    return _SHARED_KINDS.fullmatch(kind) is not None


def _candidates(root: Path, shared: bool) -> Iterator[Path]:
    if not shared:
        yield root
    for number in range(1, _MOST):
        yield root / HOSTS / (host_name() if number == 1 else f"{host_name()}.{number}")


def _locked(folder: Path) -> BinaryIO | None:
    """The folder's lock, held and marked with the time; None while another gateway holds it.

    It is inherited by all processes of the gateway, so it is held as long as one of them lives.
    """
    lock = open(folder / _LOCK, "ab")  # noqa: SIM115 - handed to the caller
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    except OSError as error:
        # a file system without locks: hosts keep apart by their names alone
        _LOG.warning("the cache folder cannot be locked: %s", error.strerror)
    lock.truncate(0)
    lock.write(b"%d" % time.time())
    lock.flush()
    return lock


def _forget_lost_hosts(hosts: Path) -> None:
    """Remove the folders of hosts that are gone: containers get a new name at each start."""
    with suppress(OSError):
        for folder in hosts.iterdir():
            with suppress(OSError):
                age = time.time() - (folder / _LOCK).stat().st_mtime
                lock = _locked_if_old(folder, age)
                if lock is not None:
                    with lock:
                        shutil.rmtree(folder)


def _locked_if_old(folder: Path, age: float) -> BinaryIO | None:
    if age < _FORGOTTEN_SECONDS or folder.name == host_name():
        return None
    lock = open(folder / _LOCK, "rb")  # noqa: SIM115 - handed to the caller
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        return None
    return lock
