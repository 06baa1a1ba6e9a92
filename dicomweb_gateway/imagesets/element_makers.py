"""Elements of DICOM JSON as text, made of plain values at once, by key: the fast way of `shared_json.py`."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from dicomweb_gateway.dicom.json_model import PADDING, converter_of
from dicomweb_gateway.imagesets.elements import SINGLE_TEXT, plain_vr, sequence_tag, tag_of

_MOST_LAYOUTS = 64
_NUMBERS = frozenset({"FL", "FD", "SL", "SS", "UL", "US"})
"""Their text may be NaN, whose null is a value."""
_TEXT = converter_of("UI")

Maker = Callable[[Any], bytes | None]
"""Makes a whole element of a value; None where it cannot."""
_Layout = list[tuple[str, Maker]]
"""The keys of an item with what makes their elements, tags ascending."""


def maker_of(key: str, vrs: Mapping[str, str]) -> Maker | None:
    """Makes the whole element of a value that needs nothing of its neighbours; None where the VR may vary.

    What it makes nothing of, it gives None for.
    """
    plain = plain_vr(key, vrs)
    if plain is None:
        return _items_maker(key, vrs)
    tag, vr = plain
    convert = converter_of(vr)
    is_number, is_whole = vr in _NUMBERS, vr in SINGLE_TEXT
    head = b'"%08X":{"vr":"%b","Value":' % (tag, vr.encode())
    empty = b'"%08X":{"vr":"%b"}' % (tag, vr.encode())

    def made(value: Any) -> bytes | None:
        kind = value.__class__
        if kind is str:
            if is_number or ("\\" in value and not is_whole):
                return None
            single = convert(value)
        elif kind is int or kind is float:
            single = convert(value)
        elif kind is list and not is_number and value and all(one.__class__ is str for one in value):
            if len(value) > 1:
                return b"%b%b}" % (head, orjson.dumps([convert(one) for one in value]))
            single = convert(value[0])
        else:
            return None
        return empty if single is None else b"%b[%b]}" % (head, orjson.dumps(single))

    if convert is not _TEXT or is_whole:
        return made
    begun, dumped = head + b"[", orjson.dumps

    def made_text(value: Any) -> bytes | None:
        if value.__class__ is not str or "\\" in value:
            return made(value)
        stripped = value.strip(PADDING)
        return begun + dumped(stripped) + b"]}" if stripped else empty

    return made_text


def _items_maker(key: str, vrs: Mapping[str, str]) -> Maker | None:
    """The same for sequences of items that hold nothing but plain values and such sequences."""
    tag = sequence_tag(key, vrs)
    if tag is None:
        return None
    layouts: dict[tuple[str, ...], _Layout | None] = {}

    def made(value: Any) -> bytes | None:
        if value.__class__ is not list or not value:
            return None
        items = []
        for item in value:
            if item.__class__ is not dict:
                return None
            keys = tuple(item)
            if keys not in layouts:
                if len(layouts) >= _MOST_LAYOUTS:
                    layouts.clear()
                layouts[keys] = _layout(keys, vrs)
            layout = layouts[keys]
            if layout is None:
                return None
            pieces = [make(item[name]) for name, make in layout]
            if None in pieces:
                return None
            items.append(b"{%b}" % b",".join(pieces))  # type: ignore[arg-type]
        return b'"%08X":{"vr":"SQ","Value":[%b]}' % (tag, b",".join(items))

    return made


def _layout(keys: tuple[str, ...], vrs: Mapping[str, str]) -> _Layout | None:
    """The keys of an item with what makes their elements, tags ascending; None where one is not so plain."""
    layout: dict[int, tuple[str, Maker]] = {}
    for key in keys:
        tag = tag_of(key)
        if tag is None:
            continue
        make = maker_of(key, vrs)
        if make is None or tag in layout:
            return None
        layout[tag] = key, make
    return [layout[tag] for tag in sorted(layout)]
