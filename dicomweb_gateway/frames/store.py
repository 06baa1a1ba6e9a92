"""The frame store: one checked file per frame on local disk, shared by all processes of a gateway.

A file is `<root>/<2 hex of the key's hash>/<key>`, in the format of `frame_file.py`; see `places.py`. Only
fetchers publish. Readers need no lock: a file is complete before it gets its name, and what is torn, short or
corrupt is a miss and is removed.
"""

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from dicomweb_gateway.frames import frame_file
from dicomweb_gateway.frames.checked_files import CheckedFiles, identity, remove
from dicomweb_gateway.frames.frame_file import HEADER_SIZE
from dicomweb_gateway.frames.frame_on_disk import FrameOnDisk
from dicomweb_gateway.frames.incoming import Incoming
from dicomweb_gateway.frames.places import place
from dicomweb_gateway.frames.stored_frame import StoreUnwritable
from dicomweb_gateway.imagesets.store import FrameKey

_TOUCH_SECONDS = 60


class FrameStore:
    """The files below `root`; cheap to make, safe over fork and from any thread.

    `writer` names the process that publishes, so that its successor can remove what it left half-written.
    Whoever publishes asks the `Janitor` for room first.
    """

    def __init__(self, root: Path | str, *, writer: str = "writer") -> None:
        self._root = str(root)
        self._incoming = Incoming(self._root, writer)
        self._files = CheckedFiles()

    @property
    def root(self) -> str:
        """The folder of the store."""
        return self._root

    def prepare(self, folders: Iterable[str] = ()) -> None:
        """Make the folders and remove what this writer left half-written; StoreUnwritable when it cannot.

        `folders` names those of frames that this writer will need: made here, no frame waits for them.
        """
        try:
            os.makedirs(self._root, mode=0o700, exist_ok=True)
            for folder in folders:
                with suppress(FileExistsError):
                    os.mkdir(os.path.join(self._root, folder), mode=0o700)
            self._incoming.prepare()
        except OSError as error:
            raise StoreUnwritable(f"the frame store cannot be used: {error.strerror}") from error

    def problem(self) -> str | None:
        """Why the store does not answer, in a few words; None when it does."""
        try:
            with os.scandir(self._root) as entries:
                next(entries, None)
        except OSError as error:
            return error.strerror or "unreadable"
        return None

    def has(self, key: FrameKey) -> bool:
        """Whether something lies at the frame's place; no promise, and no use of it."""
        return os.access(self.path(key), os.F_OK)

    def find(self, key: FrameKey, *, hold: bool = False) -> FrameOnDisk | None:
        """The frame if it is here and looks whole (header and size); marks it as used and as read.

        `hold`: it is used at once, so its file stays open until then or until nobody refers to the frame.
        """
        path = self.path(key)
        held = False
        try:
            descriptor, status = frame_file.open_file(path)
        except OSError:
            return None
        try:
            # a file whose content was compared needs no look at its head
            if identity(path, status) not in self._files.verified:
                header = frame_file.read_header(descriptor, status)
                if header is None:
                    remove(path)
                    return None
            _note_use(descriptor, status)
            unread = bool(status.st_mode & frame_file.UNREAD)
            frame = FrameOnDisk(self._files, path, status.st_size - HEADER_SIZE, unread)
            if hold:
                frame.hold(descriptor)
                held = True
            return frame
        except OSError:
            return None
        finally:
            if not held:
                os.close(descriptor)

    def published(self, key: FrameKey, length: int, *, is_bare: bool) -> FrameOnDisk:
        """The frame that its fetcher put here a moment ago: nobody looks at its file before it is used."""
        return FrameOnDisk(self._files, self.path(key), length, prefetched=False, is_bare=is_bare)

    def publish(self, key: FrameKey, payload: bytes, *, prefetched: bool = False) -> FrameOnDisk:
        """Write the frame, then give it its name in one step; StoreUnwritable when the disk refuses.

        Folders that somebody removed are made anew.
        """
        path = self.path(key)
        try:
            try:
                self._write(path, payload, prefetched)
            except FileNotFoundError:
                self._incoming.mend()
                self._write(path, payload, prefetched)
        except OSError as error:
            raise StoreUnwritable(f"the frame store cannot be written: {error.strerror}") from error
        return FrameOnDisk(self._files, path, len(payload), prefetched)

    def path(self, key: FrameKey) -> str:
        """Where the frame of `key` lies or would lie."""
        return f"{self._root}/{place(key).path}"

    def _write(self, path: str, payload: bytes, prefetched: bool) -> None:
        temporary = self._incoming.name()
        try:
            frame_file.write(temporary, os.path.basename(path), payload, prefetched=prefetched)
            _rename(temporary, path)
        except OSError:
            remove(temporary)
            raise


def _note_use(descriptor: int, status: os.stat_result) -> None:
    """Note the use; its time not at every one, because each costs a write of the inode."""
    with suppress(OSError):
        if status.st_mode & frame_file.UNREAD:
            frame_file.mark_read(descriptor)
        if abs(time.time() - status.st_mtime) > _TOUCH_SECONDS:
            os.utime(descriptor)


def _rename(temporary: str, path: str) -> None:
    try:
        os.rename(temporary, path)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        os.rename(temporary, path)
