"""Conditions that leave what a sight shows, over the tables that the AWS Lambda fills.

The Lambda keeps one row for a study and one for a series, whatever patients and image sets name them. So a
sight that wants attributes (`Sight.has_wanted`) sees of these rows only what their columns tell exactly: not
by a keyword without a column, not by a value that may be cut, and nothing of a series that our own tables
know and hide. A study of which image sets lie in data stores that are hidden is not shown, nor what is below
it: the row may say what one of these says. Patients and issuers whose ids are equal in the columns' collation
share a row, and are what it says; so do two patients under one Study Instance UID, whom only documents tell
apart. Retrieval reads documents, and judges by them.
"""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, FromClause, and_, exists, false, func, or_, true

from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index import tables as aws
from dicomweb_gateway.index.aws_columns import text_like_any
from dicomweb_gateway.index.patterns import Expression, any_of
from dicomweb_gateway.index.shown import Stores, in_stores, one_grant, series_shown
from dicomweb_gateway.index.traits import text_patterns
from dicomweb_gateway.sight import EVERYTHING, SERIES_TRAITS, Grant, Sight

_STUDY, _SERIES, _SET = aws.study, aws.series, aws.imageset

_SHORT = frozenset({"AccessionNumber", "StudyID", "Modality", "BodyPartExamined", "StationName"})
_SHORT_WIDTH, _WIDTH = 16, 64
"""Characters of the columns as the AWS project makes them (healthimaging.md 6.3, flaw 5)."""


@dataclass(frozen=True, slots=True)
class AwsSight:
    """`sight` over rows of the AWS tables; `beside`: our side tables are there, and know better."""

    sight: Sight = EVERYTHING
    beside: bool = False

    def studies(self) -> list[Expression]:
        """Which studies are shown: those of which a series is."""
        return one_grant(self.sight, self._study)

    def series(self, series: FromClause) -> list[Expression]:
        """Which rows of `series`, which is the table or stands for it, are shown."""
        return one_grant(self.sight, lambda grant: self._one_series(series, grant))

    def instances(self, instances: FromClause) -> list[Expression]:
        """Likewise of instances."""
        return one_grant(self.sight, lambda grant: self._instance(instances, grant))

    def bare_series(self) -> list[Expression]:
        """Which series without instance rows may be shown: their documents tell the rest."""
        conditions: list[Expression] = [may_have_instances(self.sight.stores)]
        if not self.sight.is_everything:
            # what is told of the levels above comes from rows, also where documents tell the rest
            conditions.append(any_of(self._is_alone(_SERIES, grant) for grant in self.sight.grants))
        if self.sight.has_wanted:
            conditions.append(any_of(_may_meet(grant) for grant in self.sight.grants))
        return conditions

    def _study(self, grant: Grant) -> Expression:
        if not grant.wanted:
            mine = _SERIES.c.study_pkey == _STUDY.c.study_pkey
            held = in_stores(_SET.c.datastoreid, grant.stores)
            found = exists().where(mine, _SET.c.series_pkey == _SERIES.c.series_pkey, held).correlate(_STUDY)
            return and_(found, self._is_alone(_STUDY, grant))
        one = _SERIES.alias("seen_series")
        mine = one.c.study_pkey == _STUDY.c.study_pkey
        return exists().where(mine, self._one_series(one, grant)).correlate(_STUDY)

    def _one_series(self, series: FromClause, grant: Grant) -> Expression:
        conditions = self._wanted(series, grant)
        if grant.stores is not None:
            one = _SET.alias("of_series")
            same = one.c.series_pkey == series.c.series_pkey
            held = in_stores(one.c.datastoreid, grant.stores)
            conditions.append(exists().where(same, held).correlate(series))
        return and_(true(), *conditions, self._is_alone(series, grant))

    def _is_alone(self, rows: FromClause, grant: Grant) -> Expression:
        """No hidden data store may have given the words of the study of `rows`, studies or series."""
        if grant.stores is None:
            return true()
        granted = [one.stores or frozenset() for one in self.sight.grants if not one.wanted]
        seen = frozenset().union(*granted, grant.stores)
        one, held = _SERIES.alias("beside_series"), _SET.alias("beside_set")
        mine = and_(one.c.study_pkey == rows.c.study_pkey, held.c.series_pkey == one.c.series_pkey)
        return ~exists().where(mine, held.c.datastoreid.not_in(sorted(seen))).correlate(rows)

    def _instance(self, instances: FromClause, grant: Grant) -> Expression:
        conditions: list[Expression] = []
        if grant.stores is not None:
            one = _SET.alias("of_instance")
            same = one.c.imageset_pkey == instances.c.imageset_pkey
            held = in_stores(one.c.datastoreid, grant.stores)
            conditions.append(exists().where(same, held).correlate(instances))
        if grant.wanted:
            above = _SERIES.alias("series_of_instance")
            mine = above.c.series_pkey == instances.c.series_pkey
            conditions.append(exists().where(mine, *self._wanted(above, grant)).correlate(instances))
        if grant.stores is not None:
            above = _SERIES.alias("alone_series")
            mine = above.c.series_pkey == instances.c.series_pkey
            conditions.append(exists().where(mine, self._is_alone(above, grant)).correlate(instances))
        return and_(true(), *conditions)

    def _wanted(self, series: FromClause, grant: Grant) -> list[Expression]:
        """What a grant wants of a series and what lies above it."""
        if not grant.wanted:
            return []
        conditions = [*_meets(series, grant)]
        if self.beside:
            conditions.append(self._not_hidden(series))
        return conditions

    def _not_hidden(self, series: FromClause) -> Expression:
        """Our tables do not know the series, or show it: where they know and hide it, they are right."""
        known = side.gateway_series.alias("judged_series")
        same = known.c.series_uid == series.c.seriesinstanceuid
        shown = exists().where(same, *series_shown(known, self.sight)).correlate(series)
        return or_(~exists().where(same).correlate(series), shown)


def may_have_instances(stores: Stores) -> ColumnElement[bool]:
    """The condition that not all image sets that a series' rows name lie in other data stores.

    A series without any may lie in an image set of several series.
    """
    if stores is None:
        return true()
    own = exists().where(_SET.c.series_pkey == _SERIES.c.series_pkey)
    return or_(~own, own.where(in_stores(_SET.c.datastoreid, stores)))


def _may_meet(grant: Grant) -> Expression:
    """What columns tell against a series counts where all that is wanted has one."""
    is_held = all(_table_of(keyword) is not None for keyword, _ in grant.wanted)
    return and_(true(), *_meets(_SERIES, grant)) if is_held else true()


def _meets(series: FromClause, grant: Grant) -> list[Expression]:
    """Each wanted column of the series, its study, patient and issuer is like one of its patterns."""
    study, patient, issuer = (
        table.alias(f"seen_{table.name}") for table in (_STUDY, aws.patient, aws.issuer)
    )
    rows = {_SERIES.name: series, _STUDY.name: study, aws.patient.name: patient, aws.issuer.name: issuer}
    own: list[Expression] = []
    above: list[Expression] = []
    for keyword, patterns in grant.wanted:
        name = _table_of(keyword)
        if name is None:
            return [false()]
        place = own if keyword in SERIES_TRAITS else above
        place.append(_is_like(rows[name].c[keyword.lower()], keyword, patterns))
    if above:
        same = and_(
            study.c.study_pkey == series.c.study_pkey,
            patient.c.patient_pkey == study.c.patient_pkey,
            issuer.c.issuer_pkey == patient.c.issuer_pkey,
        )
        own.append(exists().where(same, *above).correlate(series))
    return own


def _is_like(column: ColumnElement[str], keyword: str, patterns: tuple[str, ...]) -> Expression:
    """One that fills its column to the end may be cut there, and is like nothing."""
    width = _SHORT_WIDTH if keyword in _SHORT else _WIDTH
    length = func.char_length(column)
    return and_(text_like_any(column, text_patterns(patterns)), length != width, length < aws.TEXT_LENGTH)


def _table_of(keyword: str) -> str | None:
    """The AWS table that has a column for one of TRAITS."""
    tables = (_SERIES,) if keyword in SERIES_TRAITS else (_STUDY, aws.patient, aws.issuer)
    return next((one.name for one in tables if keyword.lower() in one.c), None)
