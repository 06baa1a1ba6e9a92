"""Finds the files below a folder, in the order of their paths, whatever they are called."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FoundFile:
    """One file as it lay there when the job looked; times in nanoseconds."""

    path: str
    size: int
    mtime_ns: int


def find_files(root: str) -> list[FoundFile]:
    """All files below a folder (or the one file that `root` is), in the order of their paths' bytes.

    Links are followed; a folder that is reached twice, as in a loop of links, counts once, by the path that
    comes first. Folders that cannot be listed and links that lead nowhere are in the list, so that the
    import gives a reason for them; pipes, sockets and devices are not.
    """
    if not os.path.isdir(root):
        return list(_found(root))
    paths: list[str] = []

    def note(error: OSError) -> None:
        paths.append(os.fsdecode(error.filename))

    seen: set[tuple[int, int]] = set()
    for folder, folders, names in os.walk(root, onerror=note, followlinks=True):
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders.sort(key=os.fsencode)
        paths += [os.path.join(folder, name) for name in names]
    return [found for path in sorted(paths, key=os.fsencode) for found in _found(path)]


def printable(path: str) -> str:
    """`path` as valid Unicode, for logs; bytes that are no UTF-8 become U+FFFD."""
    return os.fsencode(path).decode("utf-8", "replace")


def _found(path: str) -> Iterator[FoundFile]:
    try:
        status = os.stat(path)
    except OSError:
        yield FoundFile(path, 0, 0)
        return
    if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
        yield FoundFile(path, status.st_size, status.st_mtime_ns)
