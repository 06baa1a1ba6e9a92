"""A body in chunks (RFC 9112 7.1), in time and memory that its length bounds, whatever is between the chunks.

waitress's own receiver keeps a control line and the trailer until they end, and looks through all of it again
with whatever comes: a client of no rights could fill the memory and keep the loop busy with them.
"""

from typing import Any

from waitress.receiver import ChunkedReceiver
from waitress.rfc7230 import CHUNK_EXT_RE, HEADER_FIELD_RE, ONLY_HEXDIG_RE
from waitress.utilities import BadRequest, RequestEntityTooLarge, RequestHeaderFieldsTooLarge

# of bytes, whatever the stubs say
_NUMBER: Any = ONLY_HEXDIG_RE
_EXTENSIONS: Any = CHUNK_EXT_RE
_FIELD: Any = HEADER_FIELD_RE
_LONGEST_LINE = 8192
"""Bytes of a chunk's size with its extensions, or of a line of the trailer."""
_LONGEST_TRAILER = 65536


class Chunks(ChunkedReceiver):  # type: ignore[misc, unused-ignore]
    """Puts what the chunks hold into `buf`; extensions and the trailer are checked and dropped.

    More than `most` bytes are refused as soon as a chunk announces them.
    """

    buf: Any
    error: BadRequest | None
    completed: bool

    def __init__(self, buf: Any, most: int) -> None:
        super().__init__(buf)
        self.most = most
        self._line = b""
        self._data_left = 0
        self._trailer_bytes = 0
        self._expected = self._size

    def received(self, data: bytes) -> int:
        """Take what belongs to the body; the number of its bytes. What is wrong stands in `error`."""
        at = 0
        while at < len(data) and not self.completed and self.error is None:
            at = self._data(data, at) if self._data_left else self._lines(data, at)
        return at

    def _data(self, data: bytes, at: int) -> int:
        piece = data[at : at + self._data_left]
        self.buf.append(piece)
        self._data_left -= len(piece)
        if not self._data_left:
            self._expected = self._end
        return at + len(piece)

    def _lines(self, data: bytes, at: int) -> int:
        end = data.find(b"\n", at, at + _LONGEST_LINE) + 1
        self._line += data[at:end] if end else data[at : at + _LONGEST_LINE]
        if len(self._line) > _LONGEST_LINE:
            self.error = RequestHeaderFieldsTooLarge("a line between the chunks of the body is too long")
        elif end:
            line, self._line = self._line, b""
            if line.endswith(b"\r\n"):
                self._expected(line[:-2])
            else:
                self.error = BadRequest("a line between the chunks of the body does not end as lines do")
        return end or min(len(data), at + _LONGEST_LINE)

    def _size(self, line: bytes) -> None:
        number, semicolon, extensions = line.partition(b";")
        if not _NUMBER.fullmatch(number):
            self.error = BadRequest("Invalid chunk size")
        elif not _EXTENSIONS.fullmatch(semicolon + extensions):
            self.error = BadRequest("Invalid chunk extension")
        else:
            self._data_left = int(number, 16)
            if not self._data_left:
                self._expected = self._trailer
            elif self._data_left > self.most - len(self.buf):
                self.error = RequestEntityTooLarge(f"the body is longer than {self.most} bytes")

    def _end(self, line: bytes) -> None:
        if line:
            self.error = BadRequest("Chunk not properly terminated")
        self._expected = self._size

    def _trailer(self, line: bytes) -> None:
        self._trailer_bytes += len(line)
        if not line:
            self.completed = True
        elif self._trailer_bytes > _LONGEST_TRAILER:
            self.error = RequestHeaderFieldsTooLarge("the trailer of the body is too long")
        elif not _FIELD.fullmatch(line):
            self.error = BadRequest("a line of the trailer is malformed")
