"""Which of several variants that image sets give under one UID is the best one (side_tables.py, Q-52)."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, FromClause, and_, case, exists, func, or_, select

from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index.patterns import Expression
from dicomweb_gateway.index.shown import instances_shown
from dicomweb_gateway.qido.attributes import Level
from dicomweb_gateway.sight import Sight

_STUDY, _SERIES, _INSTANCE = side.gateway_study, side.gateway_series, side.gateway_instance
_SET = side.gateway_imageset
_NEVER = datetime(1, 1, 1)


def has_variants(connection: Connection, level: Level) -> bool:
    """Whether any UID of a level has more than its main variant: hardly any index does.

    An instance has as many as its series at most.
    """
    table: Any = _STUDY if level == "study" else _SERIES
    return connection.execute(select(table.c.study_key).where(~table.c.is_main).limit(1)).first() is not None


def is_best_instance(sight: Sight) -> Expression:
    """That no better image set gives the same instance, of the same series, of those that `sight` shows.

    Instances are joined with their series.
    """
    other, above = _INSTANCE.alias("better_instance"), _SERIES.alias("series_of_better")
    same = and_(
        other.c.instance_uid == _INSTANCE.c.instance_uid,
        above.c.series_key == other.c.series_key,
        above.c.study_uid == _SERIES.c.study_uid,
        above.c.series_uid == _SERIES.c.series_uid,
        above.c.series_key != _SERIES.c.series_key,
    )
    shown = instances_shown(other, sight, above)
    better = is_of_better_set(other, _INSTANCE)
    return ~exists().where(same, better, *shown).correlate(_INSTANCE, _SERIES)


def is_of_better_set(other: FromClause, own: FromClause) -> Expression:
    """Whether the image set of `other` goes before that of `own` (StoredSet.rank)."""
    theirs, ours = _SET.alias("their_set"), _SET.alias("our_set")
    both = exists().where(
        theirs.c.imageset_key == other.c.imageset_key,
        ours.c.imageset_key == own.c.imageset_key,
        _is_above(ranks(theirs), ranks(ours)),
    )
    return both.correlate(other, own)


def ranks(sets: FromClause) -> list[Expression]:
    """What image sets are compared by, as `StoredSet.rank`: the larger wins."""
    is_primary = case((sets.c.is_primary, 1), else_=0)
    return [
        case((sets.c.state == side.ACTIVE, 1), else_=0),
        is_primary,
        func.coalesce(sets.c.updated_at, _NEVER),
        sets.c.imagesetid,
    ]


def _is_above(first: list[Expression], second: list[Expression]) -> Expression:
    """Whether the first list of values is the larger one."""
    return or_(
        *(
            and_(*(a == b for a, b in zip(first[:n], second[:n], strict=True)), first[n] > second[n])
            for n in range(len(first))
        )
    )
