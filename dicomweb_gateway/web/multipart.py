"""The framing of multipart/related answers (RFC 2387; dicomweb.md M-1 to M-6): bytes in, bytes out."""

import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dicomweb_gateway.web.accept import MULTIPART


def boundary_for(key: bytes, *parts: str) -> str:
    """A boundary that depends only on `parts` and the secret `key` (M-6).

    The same content in the same representation has the same boundary in every process and after a
    restart, so that byte ranges of two answers fit together; nobody who uploads pixels can foresee it.
    """
    digest = hmac.digest(key, "\n".join(parts).encode(), "sha256")
    return f"dicomweb-{digest.hex()[:40]}"


@dataclass(frozen=True, slots=True)
class MultipartFraming:
    """What stands around the parts of one answer. `part_type` is a bare media type (M-1)."""

    boundary: str
    part_type: str

    @property
    def content_type(self) -> str:
        """The header of the whole answer: `type` quoted, `boundary` not (M-1)."""
        return f'{MULTIPART}; type="{self.part_type}"; boundary={self.boundary}'

    def head(self, content_type: str, length: int | None, location: str | None, first: bool) -> bytes:
        """The bytes before one part's payload of `length` bytes (None: not known beforehand).

        Content-Type stands first and is spelled so (M-3); every part but the first closes the one before.
        """
        lines = [f"--{self.boundary}", f"Content-Type: {content_type}"]
        if length is not None:
            lines.append(f"Content-Length: {length}")
        if location is not None:
            lines.append(f"Content-Location: {location}")
        head = "\r\n".join(lines) + "\r\n\r\n"
        return (head if first else f"\r\n{head}").encode("ascii")

    @property
    def tail(self) -> bytes:
        """The bytes after the last part."""
        return f"\r\n--{self.boundary}--\r\n".encode("ascii")

    def whole(self, parts: Iterable[bytes]) -> Iterator[bytes]:
        """A body whose parts all are of the bare media type, part by part."""
        for number, part in enumerate(parts):
            yield self.head(self.part_type, len(part), None, first=number == 0) + part
        yield self.tail

    def heads(self, parts: Iterable[tuple[str, int, str | None]]) -> list[bytes]:
        """`head` of each (content type, length, location) in turn."""
        return [self.head(*part, first=number == 0) for number, part in enumerate(parts)]
