"""Numbers and modalities of what lies below rows of the AWS tables (dicomweb.md Q-17, Q-49).

A series without instance rows has an unknown number of instances, not none (healthimaging.md 6.3, flaw 7).
"""

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from sqlalchemy import Connection, case, exists, func, null, select

from dicomweb_gateway.index import tables as aws
from dicomweb_gateway.index.aws_values import stored_text
from dicomweb_gateway.index.chunks import portions

_STUDY, _SERIES, _INSTANCE = aws.study, aws.series, aws.instance


class Numbers(NamedTuple):
    """How many series and instances there are; instances None where a series has no rows of any."""

    series: int
    instances: int | None


NONE = Numbers(0, 0)


def modalities_of(connection: Connection, study_uids: Collection[str]) -> dict[str, set[str]]:
    """The modalities of the studies' series."""
    found: dict[str, set[str]] = {}
    for uids in portions(study_uids):
        query = select(_STUDY.c.studyinstanceuid, _SERIES.c.modality).distinct()
        query = query.join(_SERIES, _SERIES.c.study_pkey == _STUDY.c.study_pkey)
        for uid, modality in connection.execute(query.where(_STUDY.c.studyinstanceuid.in_(uids))):
            if stored_text(modality) is not None:
                found.setdefault(uid, set()).add(str(stored_text(modality)))
    return found


def counted(connection: Connection, uid: Any, uids: Collection[str]) -> dict[str, Numbers]:
    """How much there is below each of `uids`, which the column `uid` of studies or series holds."""
    tables = _STUDY.outerjoin(_SERIES, _SERIES.c.study_pkey == _STUDY.c.study_pkey)
    tables = tables.outerjoin(_INSTANCE, _INSTANCE.c.series_pkey == _SERIES.c.series_pkey)
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


def _series_of_study() -> Any:
    other = _SERIES.alias("counted")
    query = select(func.count()).select_from(other).where(other.c.study_pkey == _STUDY.c.study_pkey)
    return query.scalar_subquery()


def _instances_of_study() -> Any:
    series, one = _SERIES.alias("counted"), _INSTANCE.alias("counted_instance")
    query = select(func.count()).select_from(series.join(one, one.c.series_pkey == series.c.series_pkey))
    number = query.where(series.c.study_pkey == _STUDY.c.study_pkey).scalar_subquery()
    bare, other = _SERIES.alias("bare"), _INSTANCE.alias("any_instance")
    has_rows = exists().where(other.c.series_pkey == bare.c.series_pkey)
    is_partial = exists().where(bare.c.study_pkey == _STUDY.c.study_pkey, ~has_rows)
    return case((is_partial, null()), else_=number)


def _instances_of_series() -> Any:
    one = _INSTANCE.alias("counted_instance")
    query = select(func.count()).select_from(one).where(one.c.series_pkey == _SERIES.c.series_pkey)
    return func.nullif(query.scalar_subquery(), 0)


COUNTS: dict[str, Callable[[], Any]] = {
    "NumberOfStudyRelatedSeries": _series_of_study,
    "NumberOfStudyRelatedInstances": _instances_of_study,
    "NumberOfSeriesRelatedInstances": _instances_of_series,
}
"""Numbers as columns of the rows of studies and series, NULL where unknown."""


def aws_totals(connection: Connection) -> dict[str, int]:
    """How many studies, series and instances the AWS tables hold."""
    tables = {"studies": aws.study, "series": aws.series, "instances": aws.instance}
    return {
        name: connection.execute(select(func.count()).select_from(table)).scalar_one()
        for name, table in tables.items()
    }
