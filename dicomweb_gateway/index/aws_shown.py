"""Conditions that leave what a sight shows, over the tables that the AWS Lambda fills.

The Lambda keeps one row for a study and one for a series, whatever patients and image sets name them. What a
row says may so be what an image set says that is hidden. Grants that want attributes show none of these rows:
documents judge and tell (`document_search.py`). Those of whole data stores show rows of studies that no image
set of another data store names; a study of which image sets lie elsewhere is not shown, nor what is below it.
A patient's row is one for all data stores (same PatientID and issuer, in the columns' collation), and is
answered as the image set that was written last has it.
"""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, FromClause, and_, exists, or_, true

from dicomweb_gateway.index import tables as aws
from dicomweb_gateway.index.patterns import Expression
from dicomweb_gateway.index.shown import Stores, in_stores, one_grant
from dicomweb_gateway.sight import EVERYTHING, Grant, Sight

_STUDY, _SERIES, _SET = aws.study, aws.series, aws.imageset


@dataclass(frozen=True, slots=True)
class AwsSight:
    """What of `sight` rows of the AWS tables may show: the grants that want no attributes."""

    sight: Sight = EVERYTHING

    @property
    def _plain(self) -> Sight:
        return Sight(tuple(grant for grant in self.sight.grants if not grant.wanted))

    def studies(self) -> list[Expression]:
        """Which studies are shown: those of which a series is."""
        return one_grant(self._plain, self._study)

    def series(self, series: FromClause) -> list[Expression]:
        """Which rows of `series`, which is the table or stands for it, are shown."""
        return one_grant(self._plain, lambda grant: self._one_series(series, grant))

    def instances(self, instances: FromClause) -> list[Expression]:
        """Likewise of instances."""
        return one_grant(self._plain, lambda grant: self._instance(instances, grant))

    def bare_series(self) -> list[Expression]:
        """Which series without instance rows may be shown: their documents tell the rest."""
        # what is told of the levels above comes from rows, also where documents tell the rest
        alone = one_grant(self._plain, lambda grant: _is_alone(_SERIES, grant))
        return [may_have_instances(self._plain.stores), *alone]

    def _study(self, grant: Grant) -> Expression:
        mine = _SERIES.c.study_pkey == _STUDY.c.study_pkey
        held = in_stores(_SET.c.datastoreid, grant.stores)
        found = exists().where(mine, _SET.c.series_pkey == _SERIES.c.series_pkey, held).correlate(_STUDY)
        return and_(found, _is_alone(_STUDY, grant))

    def _one_series(self, series: FromClause, grant: Grant) -> Expression:
        one = _SET.alias("of_series")
        same = one.c.series_pkey == series.c.series_pkey
        held = exists().where(same, in_stores(one.c.datastoreid, grant.stores)).correlate(series)
        return and_(held, _is_alone(series, grant))

    def _instance(self, instances: FromClause, grant: Grant) -> Expression:
        one, above = _SET.alias("of_instance"), _SERIES.alias("alone_series")
        same = one.c.imageset_pkey == instances.c.imageset_pkey
        held = exists().where(same, in_stores(one.c.datastoreid, grant.stores)).correlate(instances)
        mine = above.c.series_pkey == instances.c.series_pkey
        return and_(held, exists().where(mine, _is_alone(above, grant)).correlate(instances))


def _is_alone(rows: FromClause, grant: Grant) -> Expression:
    """No hidden data store may have given the words of the study of `rows`, studies or series.

    `grant` is all grants of a sight that want no attributes in one.
    """
    one, held = _SERIES.alias("beside_series"), _SET.alias("beside_set")
    mine = and_(one.c.study_pkey == rows.c.study_pkey, held.c.series_pkey == one.c.series_pkey)
    return ~exists().where(mine, held.c.datastoreid.not_in(sorted(grant.stores or ()))).correlate(rows)


def may_have_instances(stores: Stores) -> ColumnElement[bool]:
    """The condition that not all image sets that a series' rows name lie in other data stores.

    A series without any may lie in an image set of several series.
    """
    if stores is None:
        return true()
    own = exists().where(_SET.c.series_pkey == _SERIES.c.series_pkey)
    return or_(~own, own.where(in_stores(_SET.c.datastoreid, stores)))
