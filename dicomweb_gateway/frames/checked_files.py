"""Files of the frame store whose content was compared with its CRC-32 before it goes out."""

import os
from contextlib import suppress
from typing import BinaryIO

from dicomweb_gateway.frames import frame_file
from dicomweb_gateway.frames.frame_file import HEADER_SIZE
from dicomweb_gateway.frames.stored_frame import LostFrame

_MAX_VERIFIED = 8192

Identity = tuple[str, int, int, int]
"""Name, inode, time of its last change in ns and size of a file: the same for as long as nobody writes it."""


class CheckedFiles:
    """Opens and reads files, and remembers which of them this process has compared; from any thread."""

    def __init__(self) -> None:
        self.verified: dict[Identity, None] = {}

    def open(self, path: str, length: int, held: int | None = None) -> BinaryIO:
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
            remove(path)
            raise
        except OSError as error:
            file.close()
            raise LostFrame("the frame cannot be read") from error
        return file

    def read(self, path: str, length: int, held: int | None = None) -> bytes:
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
            remove(path)
            raise LostFrame("the stored frame is corrupt")
        self._note(identity(path, status))
        return payload

    def _verify(self, descriptor: int, path: str, length: int) -> None:
        status = os.fstat(descriptor)
        if status.st_size != HEADER_SIZE + length:
            raise LostFrame("the stored frame is torn")
        known = identity(path, status)
        if known in self.verified:
            return
        header = frame_file.read_header(descriptor, status)
        if header is None:
            raise LostFrame("the stored frame is torn")
        if frame_file.stored_checksum(descriptor, known[0]) != header.checksum:
            raise LostFrame("the stored frame is corrupt")
        self._note(known)

    def _note(self, known: Identity) -> None:
        if len(self.verified) >= _MAX_VERIFIED:
            self.verified = {}
        self.verified[known] = None


def identity(path: str, status: os.stat_result) -> Identity:
    """Of the file at `path`, whose `status` is this."""
    return os.path.basename(path), status.st_ino, status.st_ctime_ns, status.st_size


def remove(path: str) -> None:
    """Remove a file; one that cannot be removed stays."""
    with suppress(OSError):
        os.unlink(path)
