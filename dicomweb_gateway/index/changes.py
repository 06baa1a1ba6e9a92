"""A number that the processes of a gateway share: it rises when one of them has changed the index.

What a process remembers of the index is at most some seconds old. Whoever has stored something is answered
sooner than that, so what is remembered is forgotten as soon as the number has risen.
"""

import fcntl
import mmap
import os
from pathlib import Path
from struct import Struct

_NUMBER = Struct("<Q")


class IndexChanges:
    """The number, kept in a file at `path` that is made when it is missing; safe from any thread.

    Each user has the number that it has `caught_up` with; OSError where the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if os.fstat(self._descriptor).st_size < _NUMBER.size:
            os.ftruncate(self._descriptor, _NUMBER.size)
        self._memory = mmap.mmap(self._descriptor, _NUMBER.size)

    @property
    def number(self) -> int:
        """How often the index was changed."""
        found: int = _NUMBER.unpack_from(self._memory)[0]
        return found

    def note(self) -> None:
        """The index was changed, and that can be read by all."""
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        try:
            _NUMBER.pack_into(self._memory, 0, self.number + 1)
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
