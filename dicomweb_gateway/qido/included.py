"""What `includefield` takes of the attributes that are held (dicomweb.md Q-28 to Q-30)."""

from collections.abc import Mapping
from functools import lru_cache
from typing import TypeAlias

from dicomweb_gateway.dicom.dictionary import is_private, tag_text
from dicomweb_gateway.dicom.json_model import JsonElement, JsonObject

Path: TypeAlias = tuple[int, ...]
"""Tags from an attribute of the answer down to a member of a sequence; a single one means all of it."""

_WHOLE: tuple[Path, ...] = ()


def included(held: Mapping[str, JsonElement], paths: tuple[Path, ...]) -> JsonObject:
    """The elements of `held` that `paths` name, sequences with the named members only.

    Items stay, in their order, those without any of the members as empty ones. A path that leads into what
    is no sequence names nothing.
    """
    found: JsonObject = {}
    for key, below in _by_key(paths).items():
        if key not in held:
            continue
        if below == _WHOLE:
            found[key] = held[key]
        elif held[key].get("vr") == "SQ":
            found[key] = _pruned(held[key], below)
    return dict(sorted(found.items()))


def _pruned(sequence: JsonElement, members: tuple[Path, ...]) -> JsonElement:
    if "Value" not in sequence:
        return sequence
    return {**sequence, "Value": [included(item or {}, members) for item in sequence["Value"]]}


@lru_cache(maxsize=256)
def _by_key(paths: tuple[Path, ...]) -> dict[str, tuple[Path, ...]]:
    """The paths by the DICOM JSON key that they begin with, a private one beside its creator (PS3.5 7.8.1).

    An attribute that is named itself is taken whole, whatever is named below it.
    """
    rests: dict[int, list[Path]] = {}
    for path in paths:
        rests.setdefault(path[0], []).append(path[1:])
    keys = {tag_text(tag): _WHOLE if () in below else tuple(below) for tag, below in rests.items()}
    return keys | {tag_text(_creator(tag)): _WHOLE for tag in rests if _has_creator(tag)}


def _has_creator(tag: int) -> bool:
    return is_private(tag) and (tag & 0xFFFF) >> 8 >= 0x10


def _creator(tag: int) -> int:
    return (tag & 0xFFFF0000) | (tag & 0xFFFF) >> 8
