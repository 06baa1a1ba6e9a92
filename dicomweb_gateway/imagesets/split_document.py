"""A metadata document cut into its head and its instances, so that no more of it is parsed than is asked for.

A parsed document takes eight times its length in memory. So each instance object is cut out of the JSON
text, a number is left in its place, and what remains (the skeleton) is parsed alone.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from struct import Struct
from typing import Any, Protocol

import orjson

from dicomweb_gateway.errors import UpstreamFailed

NOT_OF_SCHEMA = "HealthImaging sent image set metadata that is not of its schema"

Spans = list[tuple[int, int]]
"""Start and end of each instance object, in bytes of the text."""

_SPAN = Struct("<QQ")
_INSTANCES = re.compile(rb'"Instances"\s*+:\s*+\{\s*+"[0-9.]{1,64}"\s*+:\s*+(?=\{)')
_NEXT = re.compile(rb'\}\s*+,\s*+"[0-9.]{1,64}"\s*+:\s*+(?=\{)')
_SIBLING = re.compile(rb'\s*+,\s*+"[0-9.]{1,64}"\s*+:\s*+(?=\{)')
_BRACE = re.compile(rb'(?:[^"{}]++|"(?:[^"\\]++|\\.)*+")*+([{}])', re.DOTALL)


@dataclass(frozen=True, slots=True)
class SplitDocument:
    """`skeleton` is the JSON with numbers for instances; `table` says where each lies in `text`."""

    skeleton: bytes
    table: bytes
    text: bytes


class Slices(Protocol):
    """Where instance objects are read from, by the number that the skeleton holds."""

    def load(self, number: int) -> dict[str, Any]:
        """The instance object; UpstreamFailed when it cannot be read any more."""
        ...


class TextSlices:
    """Instances of a document that is held in memory."""

    def __init__(self, table: bytes, text: bytes) -> None:
        self._table = table
        self._text = text

    def load(self, number: int) -> dict[str, Any]:
        """The instance object."""
        start, length = span_of(self._table, number)
        return load_instance(self._text[start : start + length])


class LazyInstances(Mapping[str, dict[str, Any]]):
    """SOP Instance UID to instance object, each read and parsed anew whenever it is asked for."""

    __slots__ = ("_numbers", "_slices")

    def __init__(self, numbers: dict[str, int], slices: Slices) -> None:
        self._numbers = numbers
        self._slices = slices

    def __getitem__(self, instance_uid: str) -> dict[str, Any]:
        return self._slices.load(self._numbers[instance_uid])

    def __contains__(self, instance_uid: object) -> bool:
        return instance_uid in self._numbers

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)


def split_document(text: bytes) -> SplitDocument:
    """`text` (UTF-8 JSON) cut up; UpstreamFailed when it, or any one instance in it, is no JSON object.

    Memory beyond `text` is that of the largest instance, unless the document is written in a way that only
    parsing it as a whole can follow.
    """
    try:
        spans = _find_spans(text)
        skeleton = _skeleton(text, spans)
        if _numbers(orjson.loads(skeleton)) == list(range(len(spans))):
            return SplitDocument(skeleton, _table(spans), text)
        return _split_parsed(text)
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise UpstreamFailed(NOT_OF_SCHEMA) from error


def span_of(table: bytes, number: int) -> tuple[int, int]:
    """(start in the text, length) of an instance, in bytes."""
    start, end = _SPAN.unpack_from(table, number * _SPAN.size)
    return start, end - start


def load_instance(data: bytes) -> dict[str, Any]:
    """The instance object in `data`; UpstreamFailed when it is none."""
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise UpstreamFailed(NOT_OF_SCHEMA) from error
    if not isinstance(found, dict):
        raise UpstreamFailed(NOT_OF_SCHEMA)
    return found


def _find_spans(text: bytes) -> Spans:
    """Every object that looks like an instance; whether they are all of them the skeleton tells."""
    view = memoryview(text)
    spans: Spans = []
    found = _INSTANCES.search(text)
    while found is not None:
        start = found.end()
        end, following = _end(text, view, start)
        spans.append((start, end))
        while following is not None:
            start = following
            end, following = _end(text, view, start)
            spans.append((start, end))
        found = _INSTANCES.search(text, end)
    return spans


def _end(text: bytes, view: memoryview, start: int) -> tuple[int, int | None]:
    """Where the object at `start` ends, and where the next of its kind starts.

    The next `}, "1.2.3": {` is in all but odd documents the end of this instance: if what stands before
    it is one whole object, it is. Else, and for the last one, braces are counted.
    """
    ahead = _NEXT.search(text, start)
    if ahead is not None and _is_json(view[start : ahead.start() + 1]):
        return ahead.start() + 1, ahead.end()
    end = _closing(text, start)
    orjson.loads(view[start:end])
    sibling = _SIBLING.match(text, end)
    return end, None if sibling is None else sibling.end()


def _is_json(piece: memoryview) -> bool:
    try:
        orjson.loads(piece)
    except orjson.JSONDecodeError:
        return False
    return True


def _closing(text: bytes, start: int) -> int:
    """The end of the object at `start`, that of the text when it is not closed."""
    depth, position = 0, start
    while (brace := _BRACE.match(text, position)) is not None:
        position = brace.end()
        depth += 1 if brace[1] == b"{" else -1
        if depth == 0:
            return position
    return len(text)


def _skeleton(text: bytes, spans: Spans) -> bytes:
    pieces, position = [], 0
    for number, (start, end) in enumerate(spans):
        pieces += [text[position:start], str(number).encode()]
        position = end
    return b"".join([*pieces, text[position:]])


def _numbers(tree: Any) -> list[Any]:
    """What stands in the places of instances, in order."""
    series = (tree["Study"].get("Series") or {}).values()
    return [number for one in series for number in (one.get("Instances") or {}).values()]


def _split_parsed(text: bytes) -> SplitDocument:
    """The same over the parsed whole, for documents whose UIDs are odd or stand twice."""
    tree = orjson.loads(text)
    spans: Spans = []
    pieces: list[bytes] = []
    position = 0
    for series in (tree["Study"].get("Series") or {}).values():
        for uid, instance in (series.get("Instances") or {}).items():
            if not isinstance(instance, dict):
                raise UpstreamFailed(NOT_OF_SCHEMA)
            pieces.append(orjson.dumps(instance))
            series["Instances"][uid] = len(spans)
            spans.append((position, position + len(pieces[-1])))
            position += len(pieces[-1])
    return SplitDocument(orjson.dumps(tree), _table(spans), b"".join(pieces))


def _table(spans: Spans) -> bytes:
    return b"".join(_SPAN.pack(*span) for span in spans)
