"""DICOM JSON of one instance after the other, made fast because instances of a series repeat each other.

Each element is kept as JSON text together with the value that it was made of; of the next instance only the
elements whose values differ are made anew.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from itertools import compress
from operator import is_not, ne
from typing import Any, NamedTuple

import orjson

from dicomweb_gateway.dicom.json_model import UTF8, dumps, element
from dicomweb_gateway.imagesets.element_makers import Maker, maker_of
from dicomweb_gateway.imagesets.elements import (
    CHARACTER_SET,
    WAVEFORM_DATA,
    BulkUri,
    element_json,
    read_element,
    shown_tag,
)
from dicomweb_gateway.imagesets.values import Tags

_MOST_PLANS = 64
_MOST_FAMILIES = 8
_CHARACTER_SET = f"{CHARACTER_SET:08X}"
_LABEL = f'"{_CHARACTER_SET}":'.encode() + dumps(element("CS", [UTF8]))
_UNMIXED = frozenset({str, int, bool, type(None)})
"""Types whose values are the same where they are equal."""


class SharedJson:
    """Makes what `dicom_json` makes of all levels of an instance, as text, and labels it UTF-8 (J-28).

    What is remembered is one value an attribute, so memory does not grow with the number of instances. Not
    for several threads.
    """

    def __init__(self) -> None:
        self._families: dict[tuple[int, bytes, bool], _Family] = {}
        self._last: _Family | None = None

    def make(
        self, above: tuple[Tags, ...], tags: Tags, vrs: Mapping[str, str], signed: bool, own: "Own"
    ) -> bytes:
        """All levels of one instance as a JSON object, keys ascending: those `above` it, then its own `tags`.

        A later level wins where a key stands twice; `own.elements` win over all. SpecificCharacterSet is
        ISO_IR 192 where it is there or any text is not ASCII.
        """
        last = self._last
        if last is None or last.above[-1] is not above[-1] or last.signed != signed or last.vrs != vrs:
            last = self._last = self._family(above, vrs, signed)
        return last.plan_of(tags, own).make(tags, own)

    def _family(self, above: tuple[Tags, ...], vrs: Mapping[str, str], signed: bool) -> "_Family":
        key = (id(above[-1]), orjson.dumps(vrs), signed)
        family = self._families.get(key)
        if family is None:
            if len(self._families) >= _MOST_FAMILIES:
                self._families.clear()
            family = self._families[key] = _Family(above, vrs, signed)
        return family


class Own(NamedTuple):
    """What is the instance's alone: elements by key, each as JSON, and the address of its bulk data."""

    elements: Mapping[str, bytes]
    bulk_uri: BulkUri


class _Family:
    """Instances below the same levels, with the same VRs and the same sign of pixels."""

    def __init__(self, above: tuple[Tags, ...], vrs: Mapping[str, str], signed: bool) -> None:
        # held, so that no other series can get its identity
        self.above = above
        self.vrs = vrs
        self.signed = signed
        self._plans: dict[tuple[tuple[str, ...], tuple[str, ...]], _Plan] = {}

    def plan_of(self, tags: Tags, own: Own) -> "_Plan":
        """The plan of instances that have these keys in this order."""
        shape = (tuple(tags), tuple(own.elements))
        plan = self._plans.get(shape)
        if plan is None:
            if len(self._plans) >= _MOST_PLANS:
                self._plans.clear()
            plan = self._plans[shape] = _Plan(self, *shape)
        return plan

    def made(self, level: Tags, key: str, bulk_uri: BulkUri) -> tuple[bytes, bool]:
        """The element of `key`, and whether it is the same wherever the value is."""
        found = read_element(key, level, self.vrs, self.signed)
        if found is None:
            raise KeyError(key)
        bulk = _Noticed(bulk_uri)
        made = element_json(found, self.vrs, bulk, self.signed)
        # what waveforms are depends on their neighbours
        return dumps(made), not bulk.used and found.tag != WAVEFORM_DATA


class _Plan:
    """The elements of instances with the same keys in the same order, as they were made last."""

    def __init__(self, family: _Family, keys: tuple[str, ...], own: Iterable[str]) -> None:
        self._family = family
        self._keys = keys
        owned = frozenset(own)
        sources = self._sources(owned)
        tags = sorted({*sources, *owned})
        numbers = {tag: number for number, tag in enumerate(tags)}
        self._pieces: list[bytes] = [b""] * len(tags)
        self._own = [(numbers[tag], _head(tag), tag) for tag in sorted(owned)]
        self._above: list[tuple[int, bytes, Tags, str]] = []
        # of each key: the place of its element among the pieces, None for none, and what makes it if it can
        self._places: list[int | None] = [None] * len(keys)
        self._makers: list[Maker | None] = [None] * len(keys)
        positions = {key: position for position, key in enumerate(keys)}
        for tag, (level, key) in sources.items():
            if tag == _CHARACTER_SET:
                self._pieces[numbers[tag]] = _LABEL
            elif level is None:
                self._places[positions[key]] = numbers[tag]
                self._makers[positions[key]] = maker_of(key, family.vrs)
            else:
                self._put_above(numbers[tag], _head(tag), level, key)
        self._heads = [_head(tag) for tag in tags]
        self._label_at = None if _CHARACTER_SET in numbers else bisect_left(tags, _CHARACTER_SET)
        self._values: list[Any] = []
        """Those of the instance whose elements stand in `pieces`; empty for none."""
        self._kinds: list[type] = []
        # what is compared with more than == and its type, and what is made anew each time
        self._mixed: dict[int, bytes] = {}
        self._unshared: set[int] = set()

    def make(self, tags: Tags, own: Own) -> bytes:
        """The JSON object of an instance with the keys of this plan."""
        values = list(tags.values())
        kinds = list(map(type, values))
        changed = self._changed(values, kinds)
        # until all elements are made they belong to no instance
        self._values = []
        pieces, places, makers = self._pieces, self._places, self._makers
        for position in changed:
            place = places[position]
            if place is None:
                continue
            maker, value = makers[position], values[position]
            piece = None if maker is None else maker(value)
            if piece is None:
                piece = self._made(position, place, tags, own.bulk_uri)
            pieces[place] = piece
            if kinds[position] not in _UNMIXED and _is_mixed(value):
                self._mixed[position] = orjson.dumps(value)
            elif self._mixed:
                self._mixed.pop(position, None)
        for number, head, tag in self._own:
            pieces[number] = head + own.elements[tag]
        for place, head, level, key in self._above:
            pieces[place] = head + self._family.made(level, key, own.bulk_uri)[0]
        self._values, self._kinds = values, kinds
        body = b",".join(pieces)
        if self._label_at is not None and not body.isascii():
            at = self._label_at
            body = b",".join([*pieces[:at], _LABEL, *pieces[at:]])
        return b"{%b}" % body

    def _changed(self, values: list[Any], kinds: list[type]) -> Iterable[int]:
        """Positions of values that differ from the last instance's, or whose elements are not shared."""
        positions = range(len(values))
        if not self._values:
            return positions
        changed = set(compress(positions, map(ne, values, self._values)))
        # 1 equals 1.0 and True
        if kinds != self._kinds:
            changed.update(compress(positions, map(is_not, kinds, self._kinds)))
        for position, written in self._mixed.items():
            if position not in changed and orjson.dumps(values[position]) != written:
                changed.add(position)
        return changed | self._unshared if self._unshared else changed

    def _made(self, position: int, place: int, tags: Tags, bulk_uri: BulkUri) -> bytes:
        """The element of a key by the general way."""
        made, is_shared = self._family.made(tags, self._keys[position], bulk_uri)
        (self._unshared.discard if is_shared else self._unshared.add)(position)
        return self._heads[place] + made

    def _put_above(self, place: int, head: bytes, level: Tags, key: str) -> None:
        made, is_shared = self._family.made(level, key, str)
        self._pieces[place] = head + made
        if not is_shared:
            self._above.append((place, head, level, key))

    def _sources(self, owned: frozenset[str]) -> dict[str, tuple[Tags | None, str]]:
        """Where each element comes from: a level (None for the instance's own) and a key in it."""
        levels: dict[str, Tags | None] = {key: level for level in self._family.above for key in level}
        levels.update(dict.fromkeys(self._keys))
        found: dict[str, tuple[Tags | None, str]] = {}
        for key, level in levels.items():
            tag = shown_tag(key)
            if tag is not None and (text := f"{tag:08X}") not in owned:
                found[text] = (level, key)
        return found


class _Noticed:
    """A maker of bulk data addresses that tells whether it was asked."""

    def __init__(self, bulk_uri: BulkUri) -> None:
        self._bulk_uri = bulk_uri
        self.used = False

    def __call__(self, path: str) -> str:
        self.used = True
        return self._bulk_uri(path)


def _head(tag: str) -> bytes:
    return f'"{tag}":'.encode()


def _is_mixed(value: Any) -> bool:
    """Whether an equal value of the same type may be another: 0.0 equals -0.0, [1] equals [True]."""
    kind = value.__class__
    if kind is list:
        return not all(one.__class__ is str for one in value)
    return kind is dict or (kind is float and value == 0)
