"""The files of our own pages: scripts, styles and pieces of HTML out of the package.

They are served below an address that holds a digest of all of them, so that browsers keep them for good and
scripts that import each other by relative names always come from the same version.
"""

import re
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import NamedTuple

from dicomweb_gateway.web.compression import MINIMUM, gzip_pieces
from dicomweb_gateway.web.file_types import type_of

MOUNT = "/static"
"""Where they are served, below the gateway's root."""

FOLDER = Path(__file__).parents[1] / "static"
_IMPORT = re.compile(r"""^import\s[^;]*?["'](\.{1,2}/[^"']+)["'];""", re.MULTILINE)
_PIECES = ".html"
"""Pieces of pages are put into the shell and never served by themselves."""


class StaticFile(NamedTuple):
    """One file: its bytes, and them as one gzip member where that pays; `tag` is an entity tag."""

    media_type: str
    tag: str
    plain: bytes
    packed: bytes | None


class StaticFiles:
    """The files below `folder`, read once: what is not among them cannot be asked for."""

    def __init__(self, folder: Path) -> None:
        read = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and not path.name.startswith((".", "_"))
        }
        self._pieces = {name: data.decode() for name, data in read.items() if name.endswith(_PIECES)}
        self._files = {name: _file(name, data) for name, data in read.items() if name not in self._pieces}
        told = repr([(name, sha256(data).hexdigest()) for name, data in read.items()])
        self.digest = sha256(told.encode()).hexdigest()[:20]

    def find(self, name: str) -> StaticFile | None:
        """The file `name`, such as "frame.css"; None where there is none."""
        return self._files.get(name)

    def piece(self, name: str) -> str:
        """The HTML of the piece `name`, such as "pages/account.html"; KeyError."""
        return self._pieces[name]

    def modules(self, name: str) -> list[str]:
        """The scripts that the script `name` imports, and they, and so on: each once, without `name`."""
        found = [name]
        for script in found:
            text = self._files[script].plain.decode()
            names = (normpath(join(dirname(script), path)) for path in _IMPORT.findall(text))
            found += dict.fromkeys(one for one in names if one not in found)
        return found[1:]

    def address(self, name: str) -> str:
        """The address of the file `name` below the gateway's root; KeyError where there is none."""
        if name not in self._files:
            raise KeyError(name)
        return f"{MOUNT}/{self.digest}/{name}"


@lru_cache(maxsize=1)
def own_files() -> StaticFiles:
    """Those of the package."""
    return StaticFiles(FOLDER)


def _file(name: str, data: bytes) -> StaticFile:
    packed = b"".join(gzip_pieces([data])) if len(data) >= MINIMUM else None
    return StaticFile(type_of(name), f'W/"{sha256(data).hexdigest()[:32]}"', data, packed)
