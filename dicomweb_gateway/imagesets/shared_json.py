"""DICOM JSON of one instance after the other, made fast because instances of a series repeat each other."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import orjson

from dicomweb_gateway.dicom.json_model import JsonElement, JsonObject
from dicomweb_gateway.imagesets.elements import BulkUri, element_json, read_element
from dicomweb_gateway.imagesets.values import Tags

_MOST_PLANS = 64
_MOST_FAMILIES = 8


class SharedJson:
    """Makes what `dicom_json` makes of all levels of an instance, and gives unchanged elements again.

    Elements are shared between the objects that are made: nobody may change them. What is remembered is one
    value an attribute, so memory does not grow with the number of instances. Not for several threads.
    """

    def __init__(self) -> None:
        self._families: dict[tuple[int, bytes, bool], _Family] = {}

    def make(
        self, above: tuple[Tags, ...], tags: Tags, vrs: Mapping[str, str], signed: bool, own: "Own"
    ) -> JsonObject:
        """All levels of one instance, keys ascending: those `above` it, then its own `tags`.

        A later level wins where a key stands twice; `own.elements` win over all.
        """
        key = (id(above[-1]), orjson.dumps(vrs), signed)
        family = self._families.get(key)
        if family is None:
            if len(self._families) >= _MOST_FAMILIES:
                self._families.clear()
            family = self._families[key] = _Family(above, vrs, signed)
        return family.make(tags, own)


class Own(NamedTuple):
    """What is the instance's alone: elements by key, and the address of its bulk data."""

    elements: JsonObject
    bulk_uri: BulkUri


class _Step(NamedTuple):
    """One element of an object: `fixed`, or made of `key` in `level`, or, without a key, the instance's own.

    `level` None stands for the instance's attributes.
    """

    tag: str
    fixed: JsonElement | None
    level: Tags | None
    key: str


class _Family:
    """Instances below the same levels, with the same VRs and the same sign of pixels."""

    def __init__(self, above: tuple[Tags, ...], vrs: Mapping[str, str], signed: bool) -> None:
        # held, so that no other series can get its identity
        self._above = above
        self._vrs = vrs
        self._signed = signed
        self._plans: dict[tuple[tuple[str, ...], tuple[str, ...]], list[_Step]] = {}
        self._last: dict[str, tuple[Any, JsonElement]] = {}

    def make(self, tags: Tags, own: Own) -> JsonObject:
        shape = (tuple(tags), tuple(own.elements))
        plan = self._plans.get(shape)
        if plan is None:
            if len(self._plans) >= _MOST_PLANS:
                self._plans.clear()
            plan = self._plans[shape] = self._plan(tags, own.elements)
        result: JsonObject = {}
        last = self._last
        for tag, fixed, level, key in plan:
            if fixed is not None:
                result[tag] = fixed
                continue
            if not key:
                result[tag] = own.elements[tag]
                continue
            value = (tags if level is None else level)[key]
            if value.__class__ is list or value.__class__ is dict:
                value = orjson.dumps(value)
            known = last.get(tag)
            if known is not None and known[0].__class__ is value.__class__ and known[0] == value:
                result[tag] = known[1]
                continue
            made, is_shared = self._made(tags if level is None else level, key, own.bulk_uri)
            if made is not None:
                result[tag] = made
                # 0.0 equals -0.0
                if is_shared and value.__class__ is not float:
                    last[tag] = (value, made)
        return result

    def _made(self, level: Tags, key: str, bulk_uri: BulkUri) -> tuple[JsonElement | None, bool]:
        """The element of `key`, and whether it is the same wherever the value is."""
        found = read_element(key, level, self._vrs, self._signed)
        if found is None:
            return None, False
        bulk = _Noticed(bulk_uri)
        made = element_json(found, self._vrs, bulk, self._signed)
        # what binary values are may depend on their neighbours (waveforms)
        return made, not bulk.used and not isinstance(found.values, str)

    def _plan(self, tags: Tags, own: Iterable[str]) -> list[_Step]:
        """The steps of all instances that have these keys, ascending."""
        sources: dict[str, Tags | None] = {key: level for level in self._above for key in level}
        sources.update(dict.fromkeys(tags))
        steps: dict[str, _Step] = {}
        for key, level in sources.items():
            found = read_element(key, tags if level is None else level, self._vrs, self._signed)
            if found is not None:
                fixed, is_shared = (None, False) if level is None else self._made(level, key, str)
                tag = f"{found.tag:08X}"
                steps[tag] = _Step(tag, fixed if is_shared else None, level, key)
        steps |= {tag: _Step(tag, None, None, "") for tag in own}
        return [steps[tag] for tag in sorted(steps)]


class _Noticed:
    """A maker of bulk data addresses that tells whether it was asked."""

    def __init__(self, bulk_uri: BulkUri) -> None:
        self._bulk_uri = bulk_uri
        self.used = False

    def __call__(self, path: str) -> str:
        self.used = True
        return self._bulk_uri(path)
