"""What the frame path hands out: one whole frame, on disk or in memory, and two ways to read it."""

from io import BytesIO
from typing import BinaryIO, Protocol

from dicomweb_gateway.dicom.jp2_boxes import BARE_START
from dicomweb_gateway.errors import CorruptFrame


class StoreUnwritable(Exception):
    """The disk is full, below its floor, or failing; the frame must be served without being stored."""


class LostFrame(CorruptFrame):
    """A frame that was in the store a moment ago is gone or corrupt now."""


class StoredFrame(Protocol):
    """One whole frame that is at hand; `length` is in bytes.

    Both ways to the bytes may raise what fetching the frame can raise, because a file that was evicted or
    damaged meanwhile is fetched again.
    """

    @property
    def length(self) -> int:
        """Bytes of the frame as HealthImaging sent it."""
        ...

    @property
    def is_bare(self) -> bool:
        """Whether it is known to be a codestream without JP2 boxes."""
        ...

    def open(self) -> tuple[BinaryIO, int]:
        """An open file positioned at the frame and that position; the frame is the last `length` bytes.

        The caller closes it. The bytes have passed their CRC-32.
        """
        ...

    def read(self) -> bytes:
        """The frame's bytes, checked against their CRC-32."""
        ...


class FrameInMemory:
    """A StoredFrame that no disk took."""

    __slots__ = ("_payload",)

    def __init__(self, payload: bytes) -> None:
        self._payload = payload

    @property
    def length(self) -> int:
        """Bytes of the frame."""
        return len(self._payload)

    @property
    def is_bare(self) -> bool:
        """Whether it begins as a codestream does."""
        return self._payload.startswith(BARE_START)

    def open(self) -> tuple[BinaryIO, int]:
        """A file over the payload, position 0."""
        return BytesIO(self._payload), 0

    def read(self) -> bytes:
        """The payload itself."""
        return self._payload
