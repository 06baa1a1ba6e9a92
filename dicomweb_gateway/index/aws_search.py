"""Searching the tables that the AWS Lambda fills (healthimaging.md 6): all rows, or what we do not know."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, FromClause, Table, and_, exists, false, or_, select

from dicomweb_gateway.dicom.json_model import JsonObject
from dicomweb_gateway.index import tables as aws
from dicomweb_gateway.index.aws_answers import COLUMNS, LISTS, answers_of, attributes_of
from dicomweb_gateway.index.aws_columns import (
    begins_certainly,
    decimal_of,
    first_group,
    has_name,
    member_like_any,
    name_like,
    number_of,
    order_of,
    text_like_any,
    text_of,
    words_like,
)
from dicomweb_gateway.index.aws_numbers import COUNTS
from dicomweb_gateway.index.aws_sources import (
    aws_column,
    column_of,
    is_about_patient,
    joined_of,
    with_patient,
)
from dicomweb_gateway.index.patterns import Expression, any_of, prefix_of, some
from dicomweb_gateway.index.search_tables import Candidates, Driver, SearchTables
from dicomweb_gateway.index.unknown_rows import UnknownRows
from dicomweb_gateway.qido.attributes import MODALITIES_IN_STUDY, Level, Matching, QueryAttribute
from dicomweb_gateway.qido.expression import (
    Condition,
    EmptyOr,
    ItemIn,
    ModalitiesIn,
    NameIn,
    NameWords,
    QidoQuery,
    RequestItem,
    TextPattern,
)

_PATIENT, _STUDY, _SERIES, _INSTANCE = aws.patient, aws.study, aws.series, aws.instance
_OF: dict[Level, Table] = {"study": _STUDY, "series": _SERIES, "instance": _INSTANCE}
_NUMBERS_IN_TEXT = frozenset({"SeriesNumber"})
_UID_OF = {
    "study": _STUDY.c.studyinstanceuid,
    "series": _SERIES.c.seriesinstanceuid,
    "instance": _INSTANCE.c.sopinstanceuid,
}


class AwsSearch(SearchTables):
    """`unknown`: what our side tables do not know, the only rows that are searched then; None for all rows.

    Only for who may see all that the index holds (`whole.py`). `names_are_indexed` tells whether PatientName
    can be looked for by its column's index: then no name has a second component group, and the column's
    collation knows no case.
    """

    name = "aws"

    def __init__(
        self,
        names_are_indexed: Callable[[], bool],
        unknown: UnknownRows | None = None,
    ) -> None:
        self._names_are_indexed = names_are_indexed
        self._unknown = unknown

    def source(self, query: QidoQuery) -> FromClause:
        """The tables of the level and above, with the patient's where a key or the order is about them."""
        joined = self._joined(query.level)
        return with_patient(joined) if is_about_patient(query) else joined

    def answer_source(self, query: QidoQuery) -> FromClause:
        """All of them."""
        return with_patient(self._joined(query.level))

    def _joined(self, level: Level) -> FromClause:
        above = joined_of(level)
        if self._unknown is not None and self._unknown.few is not None:
            few = self._unknown.few
            above = few.join(above, few.c.key == self.key(level))
        return above

    def key(self, level: Level) -> Expression:
        """The surrogate key of a level's rows."""
        return _OF[level].c[f"{level}_pkey"]

    def own_rows(self, query: QidoQuery) -> list[Expression]:
        """The rows in the query's scope that our side tables do not know."""
        conditions: list[Expression] = []
        if query.study_uid is not None:
            conditions.append(_STUDY.c.studyinstanceuid == query.study_uid)
        if query.series_uid is not None:
            conditions.append(_SERIES.c.seriesinstanceuid == query.series_uid)
        if self._unknown is not None:
            conditions.append(self._unknown.unknown)
        return conditions

    def holds(self, condition: Condition) -> bool:
        """Whether the Lambda has a column for it."""
        match condition:
            case ModalitiesIn():
                return True
            case RequestItem() | ItemIn():
                return False
            case EmptyOr(empty, _):
                return self.holds(empty)
        attribute = condition.attribute
        return attribute.tag == MODALITIES_IN_STUDY or aws_column(attribute) is not None

    def judged(self, query: QidoQuery) -> QidoQuery | None:
        """All keys by the Lambda's columns; None when it has none for one of them."""
        asked = (*query.conditions, *query.stored)
        if not all(map(self.holds, asked)):
            return None
        return replace(query, conditions=asked, stored=()) if query.stored else query

    def attributes(self, row: Any, level: Level) -> JsonObject:
        """What the columns of the level hold."""
        return attributes_of(level, row)

    def column(self, attribute: QueryAttribute) -> Expression:
        """The Lambda's value, mended; numbers of related things are counted, not believed (Q-49).

        The number of instances is unknown, which no number equals, where a series has no instance rows.
        """
        if attribute.keyword in COUNTS:
            number: Expression = COUNTS[attribute.keyword]()
            return number
        column = column_of(attribute)
        if attribute.keyword in _NUMBERS_IN_TEXT:
            return number_of(column)
        if attribute.matching is Matching.DECIMAL:
            return decimal_of(column)
        is_text = attribute.matching in (Matching.TEXT, Matching.NAME)
        return text_of(column) if is_text else column

    def texts(self, attribute: QueryAttribute, patterns: tuple[TextPattern, ...]) -> Expression:
        """By the column's own index first, then byte by byte."""
        column = column_of(attribute)
        return (
            member_like_any(column, patterns)
            if attribute.keyword in LISTS
            else text_like_any(column, patterns)
        )

    def names(self, condition: NameIn, found: Candidates | None) -> Expression:
        """By the one text that the Lambda keeps of a name."""
        return self._of_persons(condition, self._meets_names(condition), found)

    def words(self, condition: NameWords, found: Candidates | None) -> Expression:
        """By the same text."""
        return self._of_persons(condition, self._meets_words(condition), found)

    def modalities(self, condition: ModalitiesIn, found: Candidates | None) -> Expression:
        """By the rows of the study's series."""
        if found is not None and found.keys is not None:
            return _STUDY.c.study_pkey.in_(found.keys)
        other = _SERIES.alias("any_series")
        same = other.c.study_pkey == _STUDY.c.study_pkey
        meets = text_like_any(other.c.modality, condition.patterns)
        if found is None:
            return exists().where(same, meets)
        return some(select(other).where(same, meets))

    def request(self, condition: RequestItem) -> Expression:
        """Nothing: the Lambda keeps no request attributes."""
        return false()

    def empty(self, attribute: QueryAttribute) -> Expression:
        """NULL, or what the Lambda writes for nothing."""
        if attribute.matching is Matching.MODALITIES:
            other = _SERIES.alias("any_series")
            same = other.c.study_pkey == _STUDY.c.study_pkey
            present = text_of(other.c.modality).is_not(None)
            return ~exists().where(same, present)
        if attribute.matching is Matching.NAME:
            return ~has_name(column_of(attribute))
        column = self.column(attribute)
        return or_(column.is_(None), column == "") if attribute.matching is Matching.UID else column.is_(None)

    def latest_first(self) -> list[Expression]:
        """The columns of one index."""
        return [_STUDY.c.studydate, _STUDY.c.studytime, _STUDY.c.studyinstanceuid]

    def by_number(self, level: Level) -> Expression:
        """The number, in a series that in the text; missing last."""
        number = number_of(_SERIES.c.seriesnumber) if level == "series" else _INSTANCE.c.instancenumber
        return order_of(number)

    def alphabetic(self, attribute: QueryAttribute) -> Expression:
        """The folded first component group."""
        return first_group(column_of(attribute))

    def uids(self, level: Level) -> list[Expression]:
        """The UID, of which these tables know one row, and the key where our own tables sort by one too."""
        return [_UID_OF[level]] if level == "study" else [_UID_OF[level], self.key(level)]

    def driver(self, condition: Condition) -> Driver | None:
        """Keys of patients by the index over their names, keys of studies by that over modalities."""
        match condition:
            case NameIn(attribute) if attribute.keyword == "PatientName":
                groups = [group for groups in condition.alternatives for group in groups]
                by_range = self._names_are_indexed() and all(map(begins_certainly, groups))
                return Driver(select(_PATIENT.c.patient_pkey).where(self._meets_names(condition)), by_range)
            case NameWords(attribute) if attribute.keyword == "PatientName":
                return Driver(select(_PATIENT.c.patient_pkey).where(self._meets_words(condition)), False)
            case ModalitiesIn(patterns):
                meets = text_like_any(_SERIES.c.modality, patterns)
                begins = all(prefix_of(one.text) for one in patterns)
                return Driver(select(_SERIES.c.study_pkey).where(meets), begins)
        return None

    def columns(self, query: QidoQuery) -> list[Any]:
        """Every column of the tables, of the level and of those above."""
        columns = [*COLUMNS["study"], _STUDY.c.studyinstanceuid.label("study_uid")]
        if query.level != "study":
            columns += [*COLUMNS["series"], _SERIES.c.seriesinstanceuid.label("series_uid")]
        if query.level == "instance":
            columns += [*COLUMNS["instance"], _INSTANCE.c.sopinstanceuid.label("instance_uid")]
        return columns

    def answers(self, connection: Connection, query: QidoQuery, rows: Sequence[Any]) -> list[JsonObject]:
        """Rows of `columns` as DICOM JSON, in their order; numbers are counted (Q-49) or unknown (flaw 7)."""
        return answers_of(connection, query, rows)

    def _meets_names(self, condition: NameIn) -> Expression:
        column = column_of(condition.attribute)
        indexed = condition.attribute.keyword == "PatientName" and self._names_are_indexed()
        return any_of(
            and_(*(name_like(column, group, indexed) for group in groups))
            for groups in condition.alternatives
        )

    def _meets_words(self, condition: NameWords) -> Expression:
        column = column_of(condition.attribute)
        return any_of(words_like(column, words) for words in condition.alternatives)

    def _of_persons(
        self, condition: NameIn | NameWords, meets: Expression, found: Candidates | None
    ) -> Expression:
        """`meets`, of the study's own columns or of its patient's."""
        if condition.attribute.keyword != "PatientName":
            return meets
        if found is not None and found.keys is not None:
            return _STUDY.c.patient_pkey.in_(found.keys)
        here = select(_PATIENT.c.patient_pkey).where(meets)
        if found is None:
            return _STUDY.c.patient_pkey.in_(here.correlate(None))
        same = _PATIENT.c.patient_pkey == _STUDY.c.patient_pkey
        return some(here.where(same).correlate(_STUDY))
