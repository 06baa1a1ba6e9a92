"""Studies and series of which a sight shows not the main variant but another one (side_tables.py)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, FromClause, and_, case, exists, func, or_, select

from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index.patterns import Expression
from dicomweb_gateway.index.shown import series_shown, studies_shown
from dicomweb_gateway.index.side_search import SideSearch
from dicomweb_gateway.qido.attributes import Level
from dicomweb_gateway.qido.expression import QidoQuery

_STUDY, _SERIES, _SET = side.gateway_study, side.gateway_series, side.gateway_imageset
_NEVER = datetime(1, 1, 1)


@dataclass(frozen=True)
class OtherVariants(SideSearch):
    """Beside SideSearch of the same sight: of each UID whose main variant is hidden one that is not.

    That is the one of the best image set (Q-52) among those that are shown, as if there were no others. It is
    answered as it stands, so no answer mixes two patients.
    """

    name = "side, other variants"

    def variants(self, level: Level) -> list[Expression]:
        """The best shown variant where no main one is; instances have no variants."""
        if level == "instance":
            return []
        return [_is_best_of_studies(self)] if level == "study" else [_is_best_of_series(self)]


def has_variants(connection: Connection, level: Level) -> bool:
    """Whether any UID of a level has more than its main variant: hardly any index does."""
    if level == "instance":
        return False
    table: Any = _STUDY if level == "study" else _SERIES
    return connection.execute(select(table.c.study_key).where(~table.c.is_main).limit(1)).first() is not None


def _is_best_of_studies(tables: SideSearch) -> Expression:
    other = _STUDY.alias("better_study")
    same = other.c.study_uid == _STUDY.c.study_uid
    better = _is_better(other, _STUDY, other.c.study_key < _STUDY.c.study_key)
    hidden = ~exists().where(same, better, *studies_shown(other, tables.sight)).correlate(_STUDY)
    return and_(~_STUDY.c.is_main, hidden)


def _is_best_of_series(tables: SideSearch) -> Expression:
    other = _SERIES.alias("better_series")
    same = and_(other.c.study_uid == _SERIES.c.study_uid, other.c.series_uid == _SERIES.c.series_uid)
    better = _is_better(other, _SERIES, other.c.series_key < _SERIES.c.series_key)
    hidden = ~exists().where(same, better, *series_shown(other, tables.sight)).correlate(_SERIES)
    return and_(~_SERIES.c.is_main, hidden)


def _is_better(other: FromClause, own: FromClause, is_older: Expression) -> Expression:
    """Whether `other` goes before `own`: by the rank of the image sets that they are of (StoredSet.rank)."""
    theirs, ours = _SET.alias("their_set"), _SET.alias("our_set")
    both = exists().where(
        theirs.c.imageset_key == other.c.imageset_key,
        ours.c.imageset_key == own.c.imageset_key,
        _is_above(_ranks(theirs), _ranks(ours)),
    )
    return or_(
        other.c.is_main,
        both.correlate(other, own),
        and_(other.c.imageset_key == own.c.imageset_key, is_older),
    )


def _ranks(sets: FromClause) -> list[Expression]:
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


def searched(connection: Connection, query: QidoQuery, tables: SideSearch) -> list[SideSearch]:
    """`tables`, and the other variants where a sight may hide main ones."""
    if tables.sight.is_everything or not has_variants(connection, query.level):
        return [tables]
    return [tables, OtherVariants(tables.sight, tables.beside, tables.joins)]
