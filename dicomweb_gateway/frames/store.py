"""The frame store: one checked file per frame on local disk, shared by all processes of a gateway.

A file is `<root>/<2 hex of the key's hash>/<key>`, in the format of `frame_file.py`. Only fetchers publish.
Readers need no lock: a file is complete before it gets its name, and what is torn, short or corrupt is a
miss and is removed.
"""

import os
import re
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, NamedTuple

from dicomweb_gateway.frames import frame_file
from dicomweb_gateway.frames.frame_file import HEADER_SIZE
from dicomweb_gateway.frames.incoming import Incoming
from dicomweb_gateway.frames.stored_frame import LostFrame, StoredFrame, StoreUnwritable
from dicomweb_gateway.imagesets.store import FrameKey

_PLAIN_ID = re.compile(r"[0-9A-Za-z]{1,64}", re.ASCII)
_TOUCH_SECONDS = 60
_MAX_VERIFIED = 8192

_Identity = tuple[str, int, int, int]
"""Name, inode, time of its last change in ns and size of a file: the same for as long as nobody writes it."""

FOLDERS = 256
"""Folders that the frames are spread over, named by two hex digits."""


class FrameOnDisk:
    """A StoredFrame in the frame store; a descriptor is held only after `hold`, for the first use.

    `again` brings the frame anew when its file is gone or corrupt at reading; without it LostFrame is raised.
    `is_bare`: see StoredFrame.
    """

    __slots__ = ("_again", "_held", "_path", "_store", "is_bare", "length", "prefetched")

    def __init__(
        self,
        store: "FrameStore",
        path: str,
        length: int,
        prefetched: bool,
        again: Callable[[], StoredFrame] | None = None,
        is_bare: bool = False,
    ) -> None:
        self._store = store
        self._path = path
        self._again = again
        self._held: int | None = None
        self.length = length
        self.prefetched = prefetched
        self.is_bare = is_bare

    def __del__(self) -> None:
        held = self._take()
        if held is not None:
            os.close(held)

    def hold(self, descriptor: int) -> None:
        """Take over `descriptor`, the open file: what is used at once need not be opened again."""
        self._held = descriptor

    def recovering(self, again: Callable[[], StoredFrame]) -> "FrameOnDisk":
        """The same frame, brought by `again` should its file be lost; what this one held goes over."""
        frame = FrameOnDisk(self._store, self._path, self.length, self.prefetched, again, self.is_bare)
        frame._held = self._take()
        return frame

    def open(self) -> tuple[BinaryIO, int]:
        """The open file and the header's length; see StoredFrame."""
        try:
            return self._store.open_checked(self._path, self.length, self._take()), HEADER_SIZE
        except LostFrame:
            if self._again is None:
                raise
            return self._same(self._again()).open()

    def read(self) -> bytes:
        """The frame's bytes; see StoredFrame."""
        try:
            return self._store.read_checked(self._path, self.length, self._take())
        except LostFrame:
            if self._again is None:
                raise
            return self._same(self._again()).read()

    def _take(self) -> int | None:
        held, self._held = self._held, None
        return held

    def _same(self, frame: StoredFrame) -> StoredFrame:
        if frame.length != self.length:
            raise LostFrame("the frame has another length than before")
        return frame


class FrameStore:
    """The files below `root`; cheap to make, safe over fork and from any thread.

    `writer` names the process that publishes, so that its successor can remove what it left half-written.
    Whoever publishes asks the `Janitor` for room first.
    """

    def __init__(self, root: Path | str, *, writer: str = "writer") -> None:
        self._root = str(root)
        self._incoming = Incoming(self._root, writer)
        self._verified: dict[_Identity, None] = {}

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
            if _identity(path, status) not in self._verified:
                header = frame_file.read_header(descriptor, status)
                if header is None:
                    _remove(path)
                    return None
            _note_use(descriptor, status)
            unread = bool(status.st_mode & frame_file.UNREAD)
            frame = FrameOnDisk(self, path, status.st_size - HEADER_SIZE, unread)
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
        return FrameOnDisk(self, self.path(key), length, prefetched=False, is_bare=is_bare)

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
        return FrameOnDisk(self, path, len(payload), prefetched)

    def path(self, key: FrameKey) -> str:
        """Where the frame of `key` lies or would lie."""
        return f"{self._root}/{_place(key).path}"

    def open_checked(self, path: str, length: int, held: int | None = None) -> BinaryIO:
        """The file at `path`, positioned behind its header; LostFrame unless it is whole and right.

        `held`: a descriptor of it, which then belongs to the file.
        A file is trusted while nobody has changed it since its CRC-32 was computed here; as its use is noted
        in it once a minute, that is computed about as often.
        """
        try:
            descriptor = frame_file.open_file(path)[0] if held is None else held
            file = open(descriptor, "rb", buffering=0)  # noqa: SIM115 - handed to the caller
        except OSError as error:
            raise LostFrame("the frame left the store") from error
        try:
            self._verify(file.fileno(), path, length)
            file.seek(HEADER_SIZE)
        except LostFrame:
            file.close()
            _remove(path)
            raise
        except OSError as error:
            file.close()
            raise LostFrame("the frame cannot be read") from error
        return file

    def read_checked(self, path: str, length: int, held: int | None = None) -> bytes:
        """The payload of the file at `path`; LostFrame unless it is whole and right. `held` as above."""
        name = os.path.basename(path)
        try:
            with open(frame_file.open_file(path)[0] if held is None else held, "rb") as file:
                status = os.fstat(file.fileno())
                header = frame_file.read_header(file.fileno(), status)
                file.seek(HEADER_SIZE)
                payload = b"" if header is None else file.read(header.length)
        except OSError as error:
            raise LostFrame("the frame left the store") from error
        if header is None or (header.length, header.checksum) != (
            length,
            frame_file.payload_checksum(name, payload),
        ):
            _remove(path)
            raise LostFrame("the stored frame is corrupt")
        self._note_verified(_identity(path, status))
        return payload

    def _verify(self, descriptor: int, path: str, length: int) -> None:
        status = os.fstat(descriptor)
        if status.st_size != HEADER_SIZE + length:
            raise LostFrame("the stored frame is torn")
        identity = _identity(path, status)
        if identity in self._verified:
            return
        header = frame_file.read_header(descriptor, status)
        if header is None:
            raise LostFrame("the stored frame is torn")
        if frame_file.stored_checksum(descriptor, identity[0]) != header.checksum:
            raise LostFrame("the stored frame is corrupt")
        self._note_verified(identity)

    def _note_verified(self, identity: _Identity) -> None:
        if len(self._verified) >= _MAX_VERIFIED:
            self._verified = {}
        self._verified[identity] = None

    def _write(self, path: str, payload: bytes, prefetched: bool) -> None:
        temporary = self._incoming.name()
        try:
            frame_file.write(temporary, os.path.basename(path), payload, prefetched=prefetched)
            _rename(temporary, path)
        except OSError:
            _remove(temporary)
            raise


def _identity(path: str, status: os.stat_result) -> _Identity:
    return os.path.basename(path), status.st_ino, status.st_ctime_ns, status.st_size


class _Place(NamedTuple):
    """Path of a frame below the root, and the number of its folder."""

    path: str
    folder: int


@lru_cache(maxsize=4096)
def _place(key: FrameKey) -> _Place:
    digest = key_digest(key)
    plain = all(_PLAIN_ID.fullmatch(part) for part in key)
    return _Place(f"{digest[0]:02x}/{'-'.join(key) if plain else digest.hex()}", digest[0])


def folder_of(key: FrameKey) -> int:
    """The number (0 to 255) of the folder of a frame: it also says which fetcher the frame belongs to."""
    return _place(key).folder


def key_digest(key: FrameKey) -> bytes:
    """The hash of a key; its first byte chooses the folder."""
    return sha256("\0".join(key).encode("utf-8", "surrogatepass")).digest()


def free_bytes(folder: str) -> int:
    """Bytes that an ordinary process may still write on the disk of `folder`; OSError when unknown."""
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


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


def _remove(path: str) -> None:
    with suppress(OSError):
        os.unlink(path)
