"""Where in the frame store a frame lies, and so which fetcher it belongs to."""

import re
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from dicomweb_gateway.imagesets.store import FrameKey

_PLAIN_ID = re.compile(r"[0-9A-Za-z]{1,64}", re.ASCII)

FOLDERS = 256
"""Folders that the frames are spread over, named by two hex digits."""


class Place(NamedTuple):
    """Path of a frame below the root, and the number of its folder."""

    path: str
    folder: int


@lru_cache(maxsize=4096)
def place(key: FrameKey) -> Place:
    """Where the frame of `key` lies or would lie."""
    digest = key_digest(key)
    plain = all(_PLAIN_ID.fullmatch(part) for part in key)
    return Place(f"{digest[0]:02x}/{'-'.join(key) if plain else digest.hex()}", digest[0])


def folder_of(key: FrameKey) -> int:
    """The number (0 to 255) of the folder of a frame: it also says which fetcher the frame belongs to."""
    return place(key).folder


def key_digest(key: FrameKey) -> bytes:
    """The hash of a key; its first byte chooses the folder."""
    return sha256("\0".join(key).encode("utf-8", "surrogatepass")).digest()
