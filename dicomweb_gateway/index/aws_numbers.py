"""Numbers and modalities of what lies below rows of the AWS tables (dicomweb.md Q-17, Q-49).

A series without instance rows has an unknown number of instances, not none (healthimaging.md 6.3, flaw 7).
"""

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, case, exists, func, null, select

from dicomweb_gateway.index import tables as aws
from dicomweb_gateway.index.aws_shown import AwsSight
from dicomweb_gateway.index.aws_values import stored_text
from dicomweb_gateway.index.chunks import portions
from dicomweb_gateway.sight import EVERYTHING, Sight

_STUDY, _SERIES, _INSTANCE = aws.study, aws.series, aws.instance


class Numbers(NamedTuple):
    """How many series and instances there are; instances None where a series has no rows of any."""

    series: int
    instances: int | None


NONE = Numbers(0, 0)


def modalities_of(connection: Connection, study_uids: Collection[str], seen: AwsSight) -> dict[str, set[str]]:
    """The modalities of the studies' series that are shown."""
    found: dict[str, set[str]] = {}
    for uids in portions(study_uids):
        query = select(_STUDY.c.studyinstanceuid, _SERIES.c.modality).distinct()
        query = query.join(_SERIES, _SERIES.c.study_pkey == _STUDY.c.study_pkey)
        query = query.where(*seen.series(_SERIES))
        for uid, modality in connection.execute(query.where(_STUDY.c.studyinstanceuid.in_(uids))):
            if stored_text(modality) is not None:
                found.setdefault(uid, set()).add(str(stored_text(modality)))
    return found


def counted(connection: Connection, uid: Any, uids: Collection[str], seen: AwsSight) -> dict[str, Numbers]:
    """How much there is below each of `uids`, which the column `uid` of studies or series holds.

    Only what is shown counts.
    """
    of_study = and_(_SERIES.c.study_pkey == _STUDY.c.study_pkey, *seen.series(_SERIES))
    of_series = and_(_INSTANCE.c.series_pkey == _SERIES.c.series_pkey, *seen.instances(_INSTANCE))
    tables = _STUDY.outerjoin(_SERIES, of_study).outerjoin(_INSTANCE, of_series)
    without_rows = case((_INSTANCE.c.instance_pkey.is_(None), _SERIES.c.series_pkey), else_=None)
    numbers = (
        func.count(_SERIES.c.series_pkey.distinct()),
        func.count(_INSTANCE.c.instance_pkey),
        func.count(without_rows),
    )
    found: dict[str, Numbers] = {}
    for some in portions(uids):
        query = select(uid, *numbers).select_from(tables).where(uid.in_(some)).group_by(uid)
        for one, series, instances, bare in connection.execute(query):
            found[one] = Numbers(series, None if bare else instances)
    return found


def _series_of_study(seen: AwsSight) -> Any:
    other = _SERIES.alias("counted")
    query = select(func.count()).select_from(other).where(other.c.study_pkey == _STUDY.c.study_pkey)
    return query.where(*seen.series(other)).scalar_subquery()


def _instances_of_study(seen: AwsSight) -> Any:
    series, one = _SERIES.alias("counted"), _INSTANCE.alias("counted_instance")
    query = select(func.count()).select_from(series.join(one, one.c.series_pkey == series.c.series_pkey))
    mine = series.c.study_pkey == _STUDY.c.study_pkey
    number = query.where(mine, *seen.instances(one)).scalar_subquery()
    bare, other = _SERIES.alias("bare"), _INSTANCE.alias("any_instance")
    has_rows = exists().where(other.c.series_pkey == bare.c.series_pkey)
    same = bare.c.study_pkey == _STUDY.c.study_pkey
    is_partial = exists().where(same, ~has_rows, *seen.series(bare))
    return case((is_partial, null()), else_=number)


def _instances_of_series(seen: AwsSight) -> Any:
    one = _INSTANCE.alias("counted_instance")
    query = select(func.count()).select_from(one).where(one.c.series_pkey == _SERIES.c.series_pkey)
    return func.nullif(query.where(*seen.instances(one)).scalar_subquery(), 0)


COUNTS: dict[str, Callable[[AwsSight], Any]] = {
    "NumberOfStudyRelatedSeries": _series_of_study,
    "NumberOfStudyRelatedInstances": _instances_of_study,
    "NumberOfSeriesRelatedInstances": _instances_of_series,
}
"""Numbers as columns of the rows of studies and series, NULL where unknown."""


def aws_totals(connection: Connection, sight: Sight = EVERYTHING) -> dict[str, int]:
    """How many studies, series and instances the AWS tables hold of what `sight` shows."""
    seen = AwsSight(sight)
    tables = {
        "studies": (aws.study, seen.studies()),
        "series": (aws.series, seen.series(aws.series)),
        "instances": (aws.instance, seen.instances(aws.instance)),
    }
    return {
        name: connection.execute(select(func.count()).select_from(table).where(*shown)).scalar_one()
        for name, (table, shown) in tables.items()
    }
