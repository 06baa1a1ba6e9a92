"""A QidoQuery as SQLAlchemy Core: conditions, order and the page of keys; bound parameters only."""

import re
from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, and_, exists, false, func, or_, select

from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.qido.attributes import Level, Matching, QueryAttribute
from dicomweb_gateway.qido.expression import (
    Condition,
    DateRange,
    EmptyOr,
    IsEmpty,
    ModalitiesIn,
    MomentRange,
    NameIn,
    NamePattern,
    NameWord,
    NameWords,
    NumberIn,
    OrderKey,
    QidoQuery,
    RangeIn,
    RequestItem,
    TextIn,
    TextPattern,
    TimeRange,
    UidIn,
)

_STUDY, _SERIES, _INSTANCE = side.gateway_study, side.gateway_series, side.gateway_instance
_NAME, _WORD, _REQUEST = side.gateway_person_name, side.gateway_name_word, side.gateway_request

TABLES: dict[Level, Table] = {"study": _STUDY, "series": _SERIES, "instance": _INSTANCE}

ESCAPE = "!"
"""Escape character of LIKE; a backslash would mean different things to different databases."""

Expression = ColumnElement[Any]

_WILDCARD = re.compile(r"[*?]")
_LAST_CODE = 0x10FFFF
_FIRST_SURROGATE, _AFTER_SURROGATES = 0xD800, 0xE000


def key_column(level: Level) -> Expression:
    """The surrogate key of a level's rows."""
    return TABLES[level].c[f"{level}_key"]


def page_of_keys(query: QidoQuery, rows: int) -> Select[Any]:
    """Keys of the matching resources in order, at most `rows` of them from the query's offset on."""
    keys = _matching(query, select(key_column(query.level).label("key")))
    return keys.order_by(*order(query)).limit(rows).offset(query.offset)


def number_of_matches(query: QidoQuery) -> Select[Any]:
    """How many resources match, whatever limit and offset say."""
    return _matching(query, select(func.count(key_column(query.level))))


def some_matches(query: QidoQuery, most: int) -> Select[Any]:
    """How many resources match, counted up to `most`, whatever limit and offset say."""
    found = _matching(query, select(key_column(query.level).label("key"))).limit(most).subquery("found")
    return select(func.count()).select_from(found)


def joined(level: Level, statement: Select[Any]) -> Select[Any]:
    """`statement` from the tables of the level and all above it."""
    if level == "study":
        return statement.select_from(_STUDY)
    above = _SERIES.join(_STUDY, _STUDY.c.study_key == _SERIES.c.study_key)
    if level == "series":
        return statement.select_from(above)
    return statement.select_from(_INSTANCE.join(above, _SERIES.c.series_key == _INSTANCE.c.series_key))


def order(query: QidoQuery) -> list[Expression]:
    """The total order of the answer: what was asked for, else Q-37, and the UIDs last."""
    if query.order:
        return [*(_order_key(key) for key in query.order), *_uids(query.level)]
    if query.level == "study":
        latest = _STUDY.c.studydate, _STUDY.c.studytime, _STUDY.c.study_uid
        return [column.desc() for column in latest]
    if query.level == "series":
        return [_SERIES.c.series_order, *_uids("series")]
    return [_INSTANCE.c.instance_order, *_uids("instance")]


def _matching(query: QidoQuery, statement: Select[Any]) -> Select[Any]:
    statement = joined(query.level, statement)
    if query.level != "instance":
        statement = statement.where(TABLES[query.level].c.is_main)
    below_study = _STUDY if query.level == "study" else _SERIES
    if query.study_uid is not None:
        statement = statement.where(below_study.c.study_uid == query.study_uid)
    if query.series_uid is not None:
        statement = statement.where(_SERIES.c.series_uid == query.series_uid)
    return statement.where(*(_condition(condition) for condition in query.conditions))


def _condition(condition: Condition) -> Expression:
    match condition:
        case UidIn(attribute, values) | NumberIn(attribute, values):
            return _column(attribute).in_(values) if values else false()
        case TextIn(attribute, patterns):
            return _like_any(_column(attribute), patterns)
        case RangeIn(attribute, ranges):
            return _any(_within(_column(attribute), one) for one in ranges)
        case NameIn(attribute, alternatives):
            return _any(_name(attribute, groups) for groups in alternatives)
        case NameWords(attribute, alternatives):
            return _any(_words(attribute, words) for words in alternatives)
        case ModalitiesIn(patterns):
            return _has_modality(patterns)
        case IsEmpty(attribute):
            return _is_empty(attribute)
        case EmptyOr(empty, other):
            return or_(_condition(empty), _condition(other))
        case RequestItem(conditions):
            return _has_request(conditions)


def _any(expressions: Iterable[Expression]) -> Expression:
    """One of `expressions` holds; none of none does, where an empty `OR` would let everything through."""
    return or_(false(), *expressions)


def _column(attribute: QueryAttribute) -> Expression:
    return TABLES[attribute.level].c[attribute.column]


def _like_any(column: Expression, patterns: tuple[TextPattern, ...]) -> Expression:
    literals = [pattern.text for pattern in patterns if not pattern.wildcard]
    likes = [_like(column, pattern.text) for pattern in patterns if pattern.wildcard]
    return _any([*([column.in_(literals)] if literals else []), *likes])


def _like(column: Expression, text: str) -> Expression:
    """Wildcard match: a range over the prefix, which an index serves, and LIKE for the rest.

    LIKE is given a computed value, not the column, so that no index serves it: the range that MariaDB
    derives from a prefix ends at U+FFFF and loses texts that go on with a later character.
    """
    pattern = text
    for special in (ESCAPE, "%", "_"):
        pattern = pattern.replace(special, ESCAPE + special)
    pattern = pattern.replace("*", "%").replace("?", "_")
    prefix = _WILDCARD.split(text, maxsplit=1)[0]
    after = _after(prefix)
    bounds = [column >= prefix] if prefix else []
    bounds += [column < after] if after else []
    if after and text == f"{prefix}*" and not prefix.endswith(" "):
        # the range says it all, except where MySQL pads for comparing: then a text may end before the prefix
        return and_(*bounds)
    return and_(*bounds, column.concat("").like(pattern, escape=ESCAPE))


def _after(prefix: str) -> str:
    """The first text, by code points, behind all that begin with `prefix`; "" when there is none."""
    stem = prefix.rstrip(chr(_LAST_CODE))
    if not stem:
        return ""
    code = ord(stem[-1]) + 1
    return stem[:-1] + chr(_AFTER_SURROGATES if code == _FIRST_SURROGATE else code)


def _within(column: Expression, limits: DateRange | TimeRange | MomentRange) -> Expression:
    bounds = []
    if limits.start is not None:
        bounds.append(column >= limits.start)
    if limits.end is not None:
        bounds.append(column <= limits.end)
    return and_(column.is_not(None), *bounds)


def _name(attribute: QueryAttribute, groups: tuple[NamePattern, ...]) -> Expression:
    return and_(*(_STUDY.c.study_key.in_(_named(attribute, group)) for group in groups))


def _named(attribute: QueryAttribute, wanted: NamePattern) -> Select[Any]:
    """Studies that hold a name group like the wanted one."""
    query = select(_NAME.c.study_key).where(
        _NAME.c.keyword == attribute.keyword, _like_any(_NAME.c.folded, (wanted.pattern,))
    )
    return query if wanted.group is None else query.where(_NAME.c.groupnumber == wanted.group)


def _words(attribute: QueryAttribute, words: tuple[NameWord, ...]) -> Expression:
    """Each of the words begins a word of the name, or sounds like one (Q-27)."""
    return and_(*(_STUDY.c.study_key.in_(_worded(attribute, word)) for word in words))


def _worded(attribute: QueryAttribute, word: NameWord) -> Select[Any]:
    begins = and_(_WORD.c.keyword == attribute.keyword, _like_any(_WORD.c.word, (word.pattern,)))
    if not word.sound:
        return select(_WORD.c.study_key).where(begins)
    sounds = and_(_WORD.c.keyword == attribute.keyword + side.SOUND, _WORD.c.word == word.sound)
    return select(_WORD.c.study_key).where(or_(begins, sounds))


def _is_empty(attribute: QueryAttribute) -> Expression:
    """No value that could be matched (Q-25)."""
    if attribute.matching is Matching.NAME:
        return ~exists().where(_NAME.c.study_key == _STUDY.c.study_key, _NAME.c.keyword == attribute.keyword)
    if attribute.matching is Matching.MODALITIES:
        other = _SERIES.alias("any_series")
        return ~exists().where(other.c.study_uid == _STUDY.c.study_uid, other.c.modality.is_not(None))
    column = _column(attribute)
    return or_(column.is_(None), column == "") if attribute.matching is Matching.UID else column.is_(None)


def _has_modality(patterns: tuple[TextPattern, ...]) -> Expression:
    # The series of all variants count: they are all found below the study.
    other = _SERIES.alias("any_series")
    same = other.c.study_uid == _STUDY.c.study_uid
    return exists().where(same, _like_any(other.c.modality, patterns))


def _has_request(conditions: tuple[Condition, ...]) -> Expression:
    same = _REQUEST.c.series_key == _SERIES.c.series_key
    found = exists().where(same, *(_of_request(one) for one in conditions))
    if all(isinstance(one, IsEmpty | EmptyOr) for one in conditions):
        return or_(found, ~exists().where(same))
    return found


def _of_request(condition: Condition) -> Expression:
    """A condition on one item of RequestAttributesSequence, all of whose keys are text."""
    match condition:
        case TextIn(attribute, patterns):
            return _like_any(_REQUEST.c[attribute.column], patterns)
        case IsEmpty(attribute):
            return _REQUEST.c[attribute.column].is_(None)
        case EmptyOr(empty, other):
            return or_(_of_request(empty), _of_request(other))
    raise TypeError(f"{type(condition).__name__} is no condition on a request item")


def _order_key(key: OrderKey) -> Expression:
    column = _alphabetic(key.attribute) if key.attribute.matching is Matching.NAME else _column(key.attribute)
    return column.desc() if key.descending else column.asc()


def _alphabetic(attribute: QueryAttribute) -> Expression:
    return (
        select(_NAME.c.folded)
        .where(_NAME.c.study_key == _STUDY.c.study_key, _NAME.c.keyword == attribute.keyword)
        .where(_NAME.c.groupnumber == 1)
        .scalar_subquery()
    )


def _uids(level: Level) -> list[Expression]:
    if level == "study":
        return [_STUDY.c.study_uid]
    if level == "series":
        return [_SERIES.c.series_uid, _SERIES.c.series_key]
    return [_INSTANCE.c.instance_uid, _INSTANCE.c.instance_key]
