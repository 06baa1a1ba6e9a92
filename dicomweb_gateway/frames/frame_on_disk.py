"""A frame that lies in the frame store: opened and read when it is sent, brought again when it is lost."""

import os
from collections.abc import Callable
from typing import BinaryIO

from dicomweb_gateway.frames.checked_files import CheckedFiles
from dicomweb_gateway.frames.frame_file import HEADER_SIZE
from dicomweb_gateway.frames.stored_frame import LostFrame, StoredFrame


class FrameOnDisk:
    """A StoredFrame in the frame store; a descriptor is held only after `hold`, for the first use.

    `again` brings the frame anew when its file is gone or corrupt at reading; without it LostFrame is raised.
    `is_bare`: see StoredFrame.
    """

    __slots__ = ("_again", "_files", "_held", "_path", "is_bare", "length", "prefetched")

    def __init__(
        self,
        files: CheckedFiles,
        path: str,
        length: int,
        prefetched: bool,
        again: Callable[[], StoredFrame] | None = None,
        is_bare: bool = False,
    ) -> None:
        self._files = files
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
        frame = FrameOnDisk(self._files, self._path, self.length, self.prefetched, again, self.is_bare)
        frame._held = self._take()
        return frame

    def open(self) -> tuple[BinaryIO, int]:
        """The open file and the header's length; see StoredFrame."""
        try:
            return self._files.open(self._path, self.length, self._take()), HEADER_SIZE
        except LostFrame:
            if self._again is None:
                raise
            return self._same(self._again()).open()

    def read(self) -> bytes:
        """The frame's bytes; see StoredFrame."""
        try:
            return self._files.read(self._path, self.length, self._take())
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
