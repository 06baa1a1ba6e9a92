"""Searching our own side tables."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
from sqlalchemy import Connection, FromClause, Table, and_, exists, func, or_, select

from dicomweb_gateway.dicom.json_model import JsonObject
from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index.patterns import Expression, like_any, prefix_of, some
from dicomweb_gateway.index.search_tables import Candidates, Driver, SearchTables
from dicomweb_gateway.index.shown import instances_shown, series_shown, studies_shown
from dicomweb_gateway.index.side_answers import add_unknown, columns, count_visible, found_rows, study_answers
from dicomweb_gateway.index.side_names import first_group, has_no_name, meets_names, names_driver
from dicomweb_gateway.index.side_requests import meets_request
from dicomweb_gateway.index.unknown_below import has_unknown_modality, unknown_below
from dicomweb_gateway.index.variants import is_best_instance
from dicomweb_gateway.qido.answers import answer
from dicomweb_gateway.qido.attributes import Level, Matching, QueryAttribute
from dicomweb_gateway.qido.expression import (
    Condition,
    ModalitiesIn,
    NameIn,
    NameWords,
    QidoQuery,
    RequestItem,
    TextPattern,
)
from dicomweb_gateway.sight import EVERYTHING, Sight

_STUDY, _SERIES, _INSTANCE = side.gateway_study, side.gateway_series, side.gateway_instance
_COUNTS = frozenset(
    {"NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances", "NumberOfSeriesRelatedInstances"}
)
_OF: dict[Level, Table] = {"study": _STUDY, "series": _SERIES, "instance": _INSTANCE}


@dataclass(frozen=True)
class SideSearch(SearchTables):
    """`sight`: what may be shown (shown.py). `beside`, only for who sees everything: the AWS Lambda alone
    wrote something that our tables do not know, which may lie below studies and series that they know.
    `joins`: the database may begin with what the sight shows, instead of looking at studies in their order
    and asking of each. `without`: studies that are left out, since others tell of them.

    Image sets that describe a study otherwise, and those of another data store, do so for themselves (a
    variant). Main variants alone are searched: where a sight hides one, OtherVariants looks for another of
    the same UID. `doubled`: several variants may give one instance, of which the best that is shown is found.
    """

    sight: Sight = EVERYTHING
    beside: bool = False
    joins: bool = False
    doubled: bool = False
    without: frozenset[str] = frozenset()

    name = "side"

    @property
    def has_shapes(self) -> bool:
        """Not where the Lambda's columns are compared too, in several spellings of a value."""
        return not self.beside and not self.without

    def for_counting(self) -> "SideSearch":
        """With joins: asking study by study takes three times as long where all are asked."""
        return self if self.sight.is_everything else replace(self, joins=True)

    def source(self, query: QidoQuery) -> FromClause:
        """The tables of the level, joined with those of the levels above."""
        return self._joined(query.level)

    def answer_source(self, query: QidoQuery) -> FromClause:
        """The same."""
        return self._joined(query.level)

    def _joined(self, level: Level) -> FromClause:
        if level == "study":
            return _STUDY
        above = _SERIES.join(_STUDY, _STUDY.c.study_key == _SERIES.c.study_key)
        if level == "series":
            return above
        return _INSTANCE.join(above, _SERIES.c.series_key == _INSTANCE.c.series_key)

    def key(self, level: Level) -> Expression:
        """The surrogate key of a level's rows."""
        return _OF[level].c[f"{level}_key"]

    def own_rows(self, query: QidoQuery) -> list[Expression]:
        """The variants in the query's scope that are shown."""
        conditions = self.variants(query.level)
        below_study = _STUDY if query.level == "study" else _SERIES
        if query.study_uid is not None:
            conditions.append(below_study.c.study_uid == query.study_uid)
        if query.series_uid is not None:
            conditions.append(_SERIES.c.series_uid == query.series_uid)
        if self.without:
            conditions.append(below_study.c.study_uid.not_in(sorted(self.without)))
        return [*conditions, *self._shown(query.level)]

    def variants(self, level: Level) -> list[Expression]:
        """The main ones; of an instance the best that is shown."""
        if level != "instance":
            return [_OF[level].c.is_main]
        return [is_best_instance(self.sight)] if self.doubled else []

    def holds(self, condition: Condition) -> bool:
        """All that is no matter of the attributes alone."""
        return True

    def judged(self, query: QidoQuery) -> QidoQuery | None:
        """As it is: what has no column stands in the attributes."""
        return query

    def attributes(self, row: Any, level: Level) -> JsonObject:
        """The DICOM JSON of the level."""
        held: JsonObject = orjson.loads(getattr(row, f"{level}_attributes"))
        return held

    def column(self, attribute: QueryAttribute) -> Expression:
        """The column of the attribute's level; numbers of what is shown are counted where some is not."""
        if not self.sight.is_everything and attribute.keyword in _COUNTS:
            return self._number_shown(attribute)
        return _OF[attribute.level].c[attribute.own_column]

    def texts(self, attribute: QueryAttribute, patterns: tuple[TextPattern, ...]) -> Expression:
        """Byte by byte, as the columns compare."""
        return like_any(self.column(attribute), patterns)

    def names(self, condition: NameIn, found: Candidates | None) -> Expression:
        """By the folded component groups."""
        return _of_persons(condition, found)

    def words(self, condition: NameWords, found: Candidates | None) -> Expression:
        """By the words of the name."""
        return _of_persons(condition, found)

    def modalities(self, condition: ModalitiesIn, found: Candidates | None) -> Expression:
        """The series of all variants count: they are all found below the study."""
        known = self._known_modalities(condition, found)
        if not self.beside:
            return known
        return or_(known, has_unknown_modality(_STUDY.c.study_uid, condition.patterns))

    def _known_modalities(self, condition: ModalitiesIn, found: Candidates | None) -> Expression:
        if found is not None and found.keys is not None:
            return _STUDY.c.study_uid.in_(found.keys)
        other = _SERIES.alias("any_series")
        same = other.c.study_uid == _STUDY.c.study_uid
        meets = and_(like_any(other.c.modality, condition.patterns), *series_shown(other, self.sight))
        if found is None:
            return exists().where(same, meets)
        return some(select(other).where(same, meets))

    def request(self, condition: RequestItem) -> Expression:
        """By the table of request items."""
        return meets_request(condition)

    def mentions(self, level: Level, text: str) -> Expression:
        """The DICOM JSON of the level contains `text`."""
        return _OF[level].c.attributes.contains(text, autoescape=True)

    def empty(self, attribute: QueryAttribute) -> Expression:
        """NULL in the column, or no row in the table that holds the values."""
        if attribute.matching is Matching.NAME:
            return has_no_name(attribute)
        if attribute.matching is Matching.MODALITIES:
            other = _SERIES.alias("any_series")
            same = other.c.study_uid == _STUDY.c.study_uid
            none = ~exists().where(same, other.c.modality.is_not(None), *series_shown(other, self.sight))
            unknown = has_unknown_modality(_STUDY.c.study_uid, None)
            return and_(none, ~unknown) if self.beside else none
        column = self.column(attribute)
        return or_(column.is_(None), column == "") if attribute.matching is Matching.UID else column.is_(None)

    def latest_first(self) -> list[Expression]:
        """The columns of one index."""
        return [_STUDY.c.studydate, _STUDY.c.studytime, _STUDY.c.study_uid]

    def by_number(self, level: Level) -> Expression:
        """A column in which a missing number is larger than all others."""
        return _OF[level].c[f"{level}_order"]

    def alphabetic(self, attribute: QueryAttribute) -> Expression:
        """The folded first component group of the study's name."""
        return first_group(attribute)

    def uids(self, level: Level) -> list[Expression]:
        """The UID, and the key where several variants may be shown."""
        if level == "study":
            return [_STUDY.c.study_uid]
        if level == "series":
            return [_SERIES.c.series_uid, _SERIES.c.series_key]
        return [_INSTANCE.c.instance_uid, _INSTANCE.c.instance_key]

    def driver(self, condition: Condition) -> Driver | None:
        """Keys of studies by the index over names, words or modalities."""
        match condition:
            case NameIn() | NameWords():
                return names_driver(condition)
            case ModalitiesIn(patterns):
                same = like_any(_SERIES.c.modality, patterns)
                query = select(_SERIES.c.study_uid).where(same, *series_shown(_SERIES, self.sight))
                return Driver(query, all(prefix_of(p.text) for p in patterns))
        return None

    def columns(self, query: QidoQuery) -> list[Any]:
        """The rows' attributes, of the level and of those above."""
        return columns(query)

    def answers(self, connection: Connection, query: QidoQuery, rows: Sequence[Any]) -> list[JsonObject]:
        """Rows of `columns` as DICOM JSON, in their order."""
        is_plain = query.level == "study" and not query.include and not query.include_all
        if is_plain and self.sight.is_everything and not self.beside:
            return study_answers(connection, rows)
        uids = {row.study_uid for row in rows}
        found = found_rows(connection, query, rows)
        if not self.sight.is_everything:
            count_visible(connection, self._joined("series"), self.sight, found)
        if self.beside and (query.shows_study or query.shows_series):
            add_unknown(unknown_below(connection, uids), found)
        return [answer(query, one) for one in found]

    def _shown(self, level: Level) -> list[Expression]:
        if level == "study":
            return studies_shown(_STUDY, self.sight, self.joins)
        if level == "series":
            return series_shown(_SERIES, self.sight, _STUDY)
        return instances_shown(_INSTANCE, self.sight, _SERIES, _STUDY)

    def _number_shown(self, attribute: QueryAttribute) -> Expression:
        """How many series or instances of a study, or instances of a series, are shown."""
        other, one = _SERIES.alias("counted"), _INSTANCE.alias("counted_instance")
        mine = [other.c.study_uid == _STUDY.c.study_uid]
        if attribute.level == "series" and self.doubled:
            mine = [other.c.study_uid == _SERIES.c.study_uid, other.c.series_uid == _SERIES.c.series_uid]
        elif attribute.level == "series":
            mine = [other.c.series_key == _SERIES.c.series_key]
        if attribute.keyword == "NumberOfStudyRelatedSeries":
            query = select(func.count(other.c.series_uid.distinct()))
        else:
            # an instance of two series is two, one of two variants of a series is one
            path = other.c.series_uid + "/" + one.c.instance_uid
            number = func.count(path.distinct()) if self.doubled else func.count()
            query = select(number).select_from(other).join(one, one.c.series_key == other.c.series_key)
            query = query.where(*instances_shown(one, self.sight, other))
        return query.where(*mine, *series_shown(other, self.sight)).scalar_subquery()


def _of_persons(condition: NameIn | NameWords, found: Candidates | None) -> Expression:
    """Studies of the persons meant: by the keys that were found, else by the tables of names."""
    if found is not None and found.keys is not None:
        return _STUDY.c.study_key.in_(found.keys)
    return meets_names(condition, each=found is not None)
