"""Where the files of the frame store are written before they get their name."""

import fcntl
import itertools
import os
import shutil
import struct
from contextlib import suppress

INCOMING = ".incoming"
"""Folder below the root of a store for files that are still being written, one folder a writer."""

_SPREAD = 64
_RUN = 128
_GET_FLAGS, _SET_FLAGS = 0x80086601, 0x40086602
"""FS_IOC_GETFLAGS and FS_IOC_SETFLAGS of linux/fs.h on 64-bit machines; others answer that they know none."""
_TOPDIR = 0x00020000
_FLAGS = struct.Struct("l")


class Incoming:
    """Names for the new files of one `writer`; safe from any thread.

    ext4 makes a file in the block group of its folder, and there passes over every inode that was deleted
    within the last half minute, one by one: a store that evicts as fast as it writes would pay 0.2 to 0.8 ms
    of CPU a file. So the files are made in folders that lie in different groups, a run of them in each.
    """

    def __init__(self, root: str, writer: str) -> None:
        self._folder = os.path.join(root, INCOMING, writer)
        self._numbers = itertools.count()

    def prepare(self) -> None:
        """Have the folders, with nothing in them that was left half-written; OSError from the disk."""
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        _spread(self._folder)
        for entry in list(os.scandir(self._folder)):
            shutil.rmtree(entry) if entry.is_dir(follow_symlinks=False) else os.unlink(entry)
        self.mend()

    def mend(self) -> None:
        """Make the folders that somebody removed; OSError from the disk."""
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        for number in range(_SPREAD):
            with suppress(FileExistsError):
                os.mkdir(f"{self._folder}/{number}", mode=0o700)

    def name(self) -> str:
        """A path for a new file that nothing has."""
        number = next(self._numbers)
        return f"{self._folder}/{number // _RUN % _SPREAD}/{os.getpid()}-{number}"


def _spread(folder: str) -> None:
    """Have the folders below `folder` made in different block groups (chattr +T), where there are any."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            (flags,) = _FLAGS.unpack(fcntl.ioctl(descriptor, _GET_FLAGS, bytes(_FLAGS.size)))
            fcntl.ioctl(descriptor, _SET_FLAGS, _FLAGS.pack(flags | _TOPDIR))
        finally:
            os.close(descriptor)
