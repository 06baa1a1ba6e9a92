"""A ZIP archive that is made while it goes out (dicomweb.md W-9)."""

import io
from collections.abc import Iterable, Iterator
from datetime import datetime
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from dicomweb_gateway.wado.body import Segment, chunks

_FOR_ALL_TO_READ = 0o644 << 16


class _Outlet(io.RawIOBase):
    """Where the archive is written to: what has come since `taken` was asked last. It has no way back."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._pieces.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data


def zip_pieces(entries: Iterable[tuple[str, Iterable[Segment]]], changed: datetime) -> Iterator[bytes]:
    """The archive of (name, body) entries, piece by piece; stored, since pixel data hardly shrink.

    One piece of one entry is in memory at a time; archives and entries may exceed 4 GB (Zip64). `changed`:
    the date of every entry, the same each time so that the bytes are too.
    """
    outlet = _Outlet()
    with ZipFile(outlet, "w", ZIP_STORED, allowZip64=True) as archive:
        for name, segments in entries:
            entry = ZipInfo(name, changed.timetuple()[:6])
            entry.external_attr = _FOR_ALL_TO_READ
            with archive.open(entry, "w", force_zip64=True) as target:
                for data in chunks(segments):
                    target.write(data)
                    yield outlet.taken()
            yield outlet.taken()
    yield outlet.taken()
