"""The files of a built OHIF, made to work below another address than the root that it was built for."""

import re
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import NamedTuple

from dicomweb_gateway.web.compression import gunzip_pieces, gzip_pieces
from dicomweb_gateway.web.file_types import type_of

_KEPT_BYTES = 24 << 20
"""Of rewritten files, compressed; all of OHIF 3.13 is half of it."""

_REWRITTEN = (".html", ".js", ".mjs", ".css", ".json", ".webapp", ".xml")
_HASHED = re.compile(r"(?:^|[.-])[0-9a-f]{16,}\.\w+$")
"""Names that change when the content does, as the build makes them."""
_PAGE = re.compile(r"[A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+)*/?")
"""Addresses of the viewer's own pages, which its script knows."""
_NOT_SERVED = re.compile(r"(?:^|/)[._]|\.map$|^app-config\.js$")
"""Files of the build and of other hosts; the configuration is made by the gateway."""

_ROOT_OF_SCRIPTS = re.compile(rb"""(\b(?:__webpack_require__|[a-z])\.p ?= ?)(["'])/\2""")
_ATTRIBUTES = re.compile(rb"""(\b(?:href|src|content)=|\bPUBLIC_URL ?= ?)(["'])/(?!/)""")
_URLS = re.compile(rb"""(url\(["']?)/(?!/)""")
_MEMBERS = re.compile(rb"""("(?:src|start_url|scope|launch_path)" ?: ?")/(?!/)""")
_FOLDERS = re.compile(rb"""(["'`])/(dicom-microscopy-viewer|ort)/""")


class ViewerFile(NamedTuple):
    """One file: `path` on disk, or, where it had to be rewritten, `packed`, one gzip member.

    `tag` is an entity tag; `immutable` says that the name changes with the content.
    """

    media_type: str
    immutable: bool
    tag: str
    path: Path | None
    packed: bytes | None

    def plain(self) -> bytes:
        """The rewritten bytes, not compressed."""
        return b"".join(gunzip_pieces([self.packed or b""]))


@dataclass(slots=True)
class _Kept:
    files: OrderedDict[tuple[str, str], ViewerFile]
    size: int = 0


class ViewerFiles:
    """The files below `folder`, listed once: what is not on the list cannot be asked for."""

    def __init__(self, folder: Path) -> None:
        root = folder.resolve()
        self._files = {
            name: path
            for path in sorted(root.rglob("*"))
            if path.is_file() and path.resolve().is_relative_to(root)
            if not _NOT_SERVED.search(name := path.relative_to(root).as_posix())
        }
        self._kept = _Kept(OrderedDict())
        self._lock = Lock()

    def find(self, name: str, mount: str) -> ViewerFile | None:
        """The file `name` (such as "assets/favicon.ico") for a viewer at `mount`, such as "/viewer".

        A name that no file has and that looks like an address of the viewer's own pages is the page itself,
        whose script knows the address; None for other names. OSError where the file is gone.
        """
        if name not in self._files:
            if not _PAGE.fullmatch(name):
                return None
            name = "index.html"
        path = self._files[name]
        if path.suffix in _REWRITTEN:
            return self._rewritten(name, path, mount)
        status = path.stat()
        tag = f'W/"{status.st_size:x}-{status.st_mtime_ns:x}"'
        return ViewerFile(type_of(name), _is_immutable(name), tag, path, None)

    def _rewritten(self, name: str, path: Path, mount: str) -> ViewerFile:
        # one at a time: a browser asks for all of them at once, and the largest takes 17 MB
        with self._lock:
            kept = self._kept.files.get((name, mount))
            if kept is not None:
                self._kept.files.move_to_end((name, mount))
                return kept
            data = rewrite(path.suffix, path.read_bytes(), mount)
            tag = f'W/"{sha256(data).hexdigest()[:32]}"'
            packed = b"".join(gzip_pieces([data]))
            made = ViewerFile(type_of(name), _is_immutable(name), tag, None, packed)
            self._keep(name, mount, made, len(packed))
            return made

    def _keep(self, name: str, mount: str, made: ViewerFile, size: int) -> None:
        self._kept.files[name, mount] = made
        self._kept.size += size
        while self._kept.size > _KEPT_BYTES and len(self._kept.files) > 1:
            _, oldest = self._kept.files.popitem(last=False)
            self._kept.size -= len(oldest.packed or b"")


def rewrite(suffix: str, data: bytes, mount: str) -> bytes:
    """`data` of a build for the root, for `mount` ("/viewer"); a build for `mount` itself stays as it is."""
    to = mount.encode("ascii")
    if b'PUBLIC_URL="' + to in data:
        return data
    if suffix in (".js", ".mjs"):
        data = _ROOT_OF_SCRIPTS.sub(rb"\1\2" + to + rb"/\2", data)
        return _FOLDERS.sub(rb"\1" + to + rb"/\2/", data)
    if suffix == ".html":
        return _ATTRIBUTES.sub(rb"\1\2" + to + b"/", data)
    if suffix == ".css":
        return _URLS.sub(rb"\1" + to + b"/", data)
    if suffix == ".xml":
        return _ATTRIBUTES.sub(rb"\1\2" + to + b"/", data)
    return _MEMBERS.sub(rb"\1" + to + b"/", data)


def _is_immutable(name: str) -> bool:
    return _HASHED.search(PurePosixPath(name).name) is not None
