"""Query values as conditions, one reader for each kind of matching (dicomweb.md 2.3)."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import TypeAlias

from dicomweb_gateway.dicom.dictionary import parse_tag, tag_text
from dicomweb_gateway.dicom.uids import is_valid_uid
from dicomweb_gateway.errors import InvalidRequest
from dicomweb_gateway.qido.attributes import BACKSLASH_VRS, Matching, QueryAttribute
from dicomweb_gateway.qido.expression import (
    Condition,
    DecimalIn,
    EmptyOr,
    IsEmpty,
    ModalitiesIn,
    NameIn,
    NameWords,
    NumberIn,
    RangeIn,
    TextIn,
    TextPattern,
    UidIn,
    ValueCondition,
)
from dicomweb_gateway.qido.name_values import name_groups, name_words_of
from dicomweb_gateway.qido.numbers import exact_number
from dicomweb_gateway.qido.ranges import date_range, moment_range, time_range
from dicomweb_gateway.qido.text_values import (
    MAX_PATTERNS,
    MAX_VALUES,
    SEPARATORS,
    is_universal,
    text_pattern,
    text_patterns,
)
from dicomweb_gateway.qido.texts import searchable

_ONE_BY_ONE = frozenset((Matching.NAME, Matching.DATE, Matching.TIME, Matching.MOMENT))
"""Kinds whose values are not looked up in a list."""

EMPTY = '""'
"""The value that matches no value (Q-25)."""

_LARGEST = 2**53
"""Whole numbers of columns reach so far; those of the DICOM JSON know no bound."""

_INTEGER = re.compile(r"[+-]?[0-9]{1,30}", re.ASCII)


@dataclass(frozen=True, slots=True)
class MatchingOptions:
    """What the parameters of Q-25 and Q-26 switch on, and what the server adds to them.

    `zone`: the time zone of moments that name no offset (Q-20). `phonetic`: fuzzy matching of names goes by
    sounds too (Q-27).
    """

    fuzzy: bool = False
    empty_values: bool = False
    multiple_values: bool = False
    zone: tzinfo = UTC
    phonetic: bool = False


def make_condition(
    attribute: QueryAttribute, values: Sequence[str], name: str, options: MatchingOptions
) -> Condition | None:
    """The condition that `values` (OR) state for the attribute, None when they match everything.

    `name` is the key as the client wrote it; InvalidRequest names it.
    """
    if any("\0" in value for value in values):
        raise InvalidRequest(f"{name}: a value holds a NUL character")
    if options.multiple_values and attribute.vr not in BACKSLASH_VRS:
        values = [part for value in values for part in _members(value)]
    if any(is_universal(value) for value in values):
        return None
    asked = [searchable(value) for value in values]
    if not all(asked):
        raise InvalidRequest(f"{name}: a value of control characters only")
    rest = [value for value in asked if not (options.empty_values and value == EMPTY)]
    empty = IsEmpty(attribute) if len(rest) < len(asked) else None
    if empty is not None and not rest:
        return empty
    if attribute.matching in _ONE_BY_ONE and len(rest) > MAX_PATTERNS:
        raise InvalidRequest(f"{name}: more than {MAX_PATTERNS} values")
    condition = _MAKERS[attribute.matching](attribute, rest, name, options)
    return condition if empty is None or condition is None else EmptyOr(empty, condition)


def _members(value: str) -> list[str]:
    """The values that backslashes separate; one that is empty beside others is no wish for everything."""
    return [part for part in value.split("\\") if part.strip(" ")] or [value.replace("\\", "")]


def _uids(
    attribute: QueryAttribute, values: list[str], name: str, _options: MatchingOptions
) -> ValueCondition | None:
    uids = [part.strip(" ") for value in values for part in SEPARATORS.split(value)]
    uids = [uid for uid in uids if uid]
    if len(uids) > MAX_VALUES:
        raise InvalidRequest(f"{name}: more than {MAX_VALUES} values")
    if not uids or not all(is_valid_uid(uid) for uid in uids):
        raise InvalidRequest(f"{name}: not a UID or list of UIDs; wildcards are not allowed here")
    return UidIn(attribute, tuple(dict.fromkeys(uids)))


def _texts(
    attribute: QueryAttribute, values: list[str], name: str, _options: MatchingOptions
) -> ValueCondition | None:
    patterns = text_patterns(attribute, values, name)
    return None if patterns is None else TextIn(attribute, patterns)


def _modalities(
    attribute: QueryAttribute, values: list[str], name: str, _options: MatchingOptions
) -> ValueCondition | None:
    patterns = text_patterns(attribute, values, name)
    return None if patterns is None else ModalitiesIn(patterns)


def _names(
    attribute: QueryAttribute, values: list[str], name: str, options: MatchingOptions
) -> ValueCondition | None:
    if options.fuzzy:
        words = tuple(name_words_of(value, name, options.phonetic) for value in values)
        return NameWords(attribute, words) if all(words) else None
    groups = tuple(name_groups(value, name) for value in values)
    return NameIn(attribute, groups) if all(groups) else None


def _dates(
    attribute: QueryAttribute, values: list[str], name: str, _options: MatchingOptions
) -> ValueCondition | None:
    return RangeIn(attribute, tuple(date_range(value, name) for value in values))


def _times(
    attribute: QueryAttribute, values: list[str], name: str, _options: MatchingOptions
) -> ValueCondition | None:
    return RangeIn(attribute, tuple(time_range(value, name) for value in values))


def _moments(
    attribute: QueryAttribute, values: list[str], name: str, options: MatchingOptions
) -> ValueCondition | None:
    return RangeIn(attribute, tuple(moment_range(value, name, options.zone) for value in values))


def _numbers(
    attribute: QueryAttribute, values: list[str], name: str, _options: MatchingOptions
) -> ValueCondition | None:
    if not all(_INTEGER.fullmatch(value) for value in values):
        raise InvalidRequest(f"{name}: not a whole number")
    bounded = attribute.column is not None
    return NumberIn(attribute, tuple(n for n in map(int, values) if not bounded or abs(n) <= _LARGEST))


def _decimals(
    attribute: QueryAttribute, values: list[str], name: str, _options: MatchingOptions
) -> ValueCondition | None:
    found = [exact_number(value) for value in values]
    numbers = tuple(number for number in found if number is not None)
    if len(numbers) < len(found):
        raise InvalidRequest(f"{name}: not a decimal number, or one too long to be stored")
    return DecimalIn(attribute, numbers)


def _exact_texts(
    attribute: QueryAttribute, values: list[str], name: str, _options: MatchingOptions
) -> ValueCondition | None:
    patterns = tuple(text_pattern(value, name) for value in dict.fromkeys(values))
    if any(pattern.wildcard for pattern in patterns):
        raise InvalidRequest(f"{name}: wildcards are not allowed here")
    return TextIn(attribute, patterns)


def _tags(
    attribute: QueryAttribute, values: list[str], name: str, _options: MatchingOptions
) -> ValueCondition | None:
    """Tags as DICOM JSON spells them (PS3.18 F.2.2)."""
    found = [parse_tag(value) for value in values]
    tags = dict.fromkeys(tag_text(tag) for tag in found if tag is not None)
    if None in found:
        raise InvalidRequest(f"{name}: not a tag of 8 hex digits")
    return TextIn(attribute, tuple(TextPattern(tag, False) for tag in tags))


_Maker: TypeAlias = Callable[[QueryAttribute, list[str], str, MatchingOptions], ValueCondition | None]

_MAKERS: dict[Matching, _Maker] = {
    Matching.UID: _uids,
    Matching.TEXT: _texts,
    Matching.MODALITIES: _modalities,
    Matching.NAME: _names,
    Matching.DATE: _dates,
    Matching.TIME: _times,
    Matching.MOMENT: _moments,
    Matching.NUMBER: _numbers,
    Matching.DECIMAL: _decimals,
    Matching.EXACT: _exact_texts,
    Matching.TAG: _tags,
}
