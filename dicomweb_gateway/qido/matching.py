"""Whether DICOM JSON meets a condition: the slower path for keys without a column (dicomweb.md Q-3)."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, tzinfo
from decimal import Decimal
from typing import Any

from dicomweb_gateway.dicom.dictionary import tag_text
from dicomweb_gateway.dicom.json_model import JsonElement
from dicomweb_gateway.qido.attributes import (
    ATTRIBUTES,
    MODALITIES_IN_STUDY,
    REQUEST_ATTRIBUTES,
    Matching,
    QueryAttribute,
)
from dicomweb_gateway.qido.expression import (
    Condition,
    DateRange,
    DecimalIn,
    EmptyOr,
    IsEmpty,
    ItemIn,
    ModalitiesIn,
    MomentRange,
    NameIn,
    NamePattern,
    NameWord,
    NameWords,
    NumberIn,
    RangeIn,
    RequestItem,
    TextIn,
    TextPattern,
    TimeRange,
    UidIn,
)
from dicomweb_gateway.qido.names import fold_name, name_words
from dicomweb_gateway.qido.numbers import exact_number, is_whole
from dicomweb_gateway.qido.sounds import sound_of
from dicomweb_gateway.qido.temporal import stored_date, stored_moment, stored_time
from dicomweb_gateway.qido.texts import searchable
from dicomweb_gateway.qido.wildcards import is_like

_TIMEZONE = 0x00080201
_MODALITIES = ATTRIBUTES[MODALITIES_IN_STUDY]
_PADDING = " \0"
_LONGEST_NUMBER = 256
"""Bits of a whole number that is read: no VR has more than 64, and Python refuses to write out huge ones."""

_PN_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def meets(condition: Condition, held: Mapping[str, JsonElement], zone: tzinfo = UTC) -> bool:
    """Whether the attributes that are `held` (PS3.18 F.2, as dicom/json_model.py writes them) meet it.

    `held` is what a search of the level may see: the attributes of the level and those above it. `zone` is
    the time zone of moments in data that names none. A value
    means what the same value of a column means to SQL: stripped, folded, an unusable one counting as none.
    Of several values any may match, where a column of text has them joined by backslashes and one of
    dates, times and numbers has the first. No level holds ModalitiesInStudy or the numbers of related series
    and instances: they are missing here unless the caller adds them.
    """
    return _meets(condition, _DataSet(held, None, zone))


def sort_value(attribute: QueryAttribute, held: Mapping[str, JsonElement], zone: tzinfo = UTC) -> Any:
    """What the attribute's column would hold to be sorted by, None where there is no value."""
    values = list(_DataSet(held, None, zone).usable(attribute))
    if not values:
        return None
    if attribute.matching is Matching.NAME:
        return values[0][0] or None
    return "\\".join(values) if attribute.matching is Matching.TEXT else values[0]


@dataclass(frozen=True, slots=True)
class _DataSet:
    """A level's elements or an item's; `outer_zone`: the offset from UTC of what it stands in, if any."""

    held: Mapping[str, JsonElement]
    outer_zone: str | None
    default_zone: tzinfo

    @property
    def zone(self) -> str | None:
        """Its offset from UTC, that of values without their own (Q-20)."""
        return next(filter(None, map(_padded_text, self.members(_TIMEZONE))), self.outer_zone)

    def members(self, tag: int) -> list[Any]:
        """All values of an attribute as they stand, null among them."""
        found = self.held.get(tag_text(tag))
        members = found.get("Value") if isinstance(found, Mapping) else None
        return members if isinstance(members, list) else []

    def usable(self, attribute: QueryAttribute) -> Iterator[Any]:
        """Its values in the form in which they are compared, those left out that have none."""
        read = _READERS[attribute.matching]
        values = (read(member, self) for member in self.members(attribute.tag))
        return (value for value in values if value is not None)

    def items(self, sequence: int) -> list["_DataSet"]:
        """The items of a sequence; what is no object is none."""
        zone = self.zone
        default = self.default_zone
        return [_DataSet(item, zone, default) for item in self.members(sequence) if isinstance(item, Mapping)]


def _meets(condition: Condition, data: _DataSet) -> bool:
    match condition:
        case UidIn(attribute, values) | NumberIn(attribute, values) | DecimalIn(attribute, values):
            return any(value in values for value in data.usable(attribute))
        case TextIn(attribute, patterns):
            return any(_is_like_any(patterns, text) for text in data.usable(attribute))
        case RangeIn(attribute, ranges):
            return any(_is_within(value, one) for value in data.usable(attribute) for one in ranges)
        case NameIn(attribute, alternatives):
            return any(_is_named(groups, one) for groups in data.usable(attribute) for one in alternatives)
        case NameWords(attribute, alternatives):
            return any(_has_words(groups, one) for groups in data.usable(attribute) for one in alternatives)
        case IsEmpty(attribute):
            return next(data.usable(attribute), None) is None
        case EmptyOr(empty, other):
            return _meets(empty, data) or _meets(other, data)
        case RequestItem(conditions):
            return _has_item(data, REQUEST_ATTRIBUTES, conditions)
        case ItemIn(path, level, conditions):
            inside = (ItemIn(path[1:], level, conditions),) if len(path) > 1 else conditions
            return _has_item(data, path[0], inside)
        case ModalitiesIn(patterns):
            return any(_is_like_any(patterns, text) for text in data.usable(_MODALITIES))


def _has_item(data: _DataSet, sequence: int, conditions: tuple[Condition, ...]) -> bool:
    items = data.items(sequence)
    if not items:
        return all(map(_asks_for_no_value, conditions))
    return any(all(_meets(condition, item) for condition in conditions) for item in items)


def _asks_for_no_value(condition: Condition) -> bool:
    """Whether it is met where nothing is."""
    if isinstance(condition, ItemIn):
        return all(map(_asks_for_no_value, condition.conditions))
    return isinstance(condition, IsEmpty | EmptyOr)


def _is_like_any(patterns: Iterable[TextPattern], text: str) -> bool:
    return any(is_like(one.text, text) if one.wildcard else one.text == text for one in patterns)


def _is_within(value: Any, limits: DateRange | TimeRange | MomentRange) -> bool:
    return (limits.start is None or limits.start <= value) and (limits.end is None or value <= limits.end)


def _is_named(groups: tuple[str, ...], patterns: Iterable[NamePattern]) -> bool:
    """Each pattern fits its group, or any group where it names none; an empty group fits nothing (Q-12)."""
    for one in patterns:
        candidates = groups if one.group is None else groups[one.group - 1 : one.group]
        if not any(group and _is_like_any((one.pattern,), group) for group in candidates):
            return False
    return True


def _has_words(groups: tuple[str, ...], wanted: Iterable[NameWord]) -> bool:
    words = name_words("=".join(groups))
    return all(any(_is_word(one, word) for word in words) for one in wanted)


def _is_word(wanted: NameWord, word: str) -> bool:
    return _is_like_any((wanted.pattern,), word) or (bool(wanted.sound) and sound_of(word) == wanted.sound)


def _plain_text(member: Any) -> str:
    """A member of Value as DICOM text, whatever JSON type it has; "" for null."""
    if isinstance(member, Mapping):
        return "=".join(str(member.get(group) or "") for group in _PN_GROUPS).rstrip("=")
    if isinstance(member, int) and member.bit_length() > _LONGEST_NUMBER:
        return ""
    return "" if member is None or isinstance(member, bool | list) else str(member)


def _padded_text(member: Any) -> str:
    return _plain_text(member).strip(_PADDING)


def _text(member: Any, data: _DataSet) -> str | None:
    return searchable(_plain_text(member)) or None


def _tag(member: Any, data: _DataSet) -> str | None:
    return searchable(_plain_text(member)).upper() or None


def _name(member: Any, data: _DataSet) -> tuple[str, ...] | None:
    groups = fold_name(_plain_text(member))
    return groups if any(groups) else None


def _date(member: Any, data: _DataSet) -> date | None:
    return stored_date(_padded_text(member))


def _time(member: Any, data: _DataSet) -> time | None:
    return stored_time(_padded_text(member))


def _moment(member: Any, data: _DataSet) -> datetime | None:
    return stored_moment(_padded_text(member), data.zone, data.default_zone)


def _decimal(member: Any, data: _DataSet) -> Decimal | None:
    return exact_number(_padded_text(member))


def _whole(member: Any, data: _DataSet) -> Decimal | None:
    number = _decimal(member, data)
    return number if number is not None and is_whole(number) else None


_READERS: dict[Matching, Callable[[Any, _DataSet], Any]] = {
    Matching.UID: _text,
    Matching.TEXT: _text,
    Matching.EXACT: _text,
    Matching.TAG: _tag,
    Matching.NAME: _name,
    Matching.MODALITIES: _text,
    Matching.DATE: _date,
    Matching.TIME: _time,
    Matching.MOMENT: _moment,
    Matching.NUMBER: _whole,
    Matching.DECIMAL: _decimal,
}
