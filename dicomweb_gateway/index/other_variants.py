"""Studies and series of which a sight shows not the main variant but another one (side_tables.py)."""

from dataclasses import dataclass

from sqlalchemy import Connection, FromClause, and_, exists, or_

from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index.patterns import Expression
from dicomweb_gateway.index.shown import series_shown, studies_shown
from dicomweb_gateway.index.side_search import SideSearch
from dicomweb_gateway.index.variants import has_variants, is_of_better_set
from dicomweb_gateway.qido.attributes import Level
from dicomweb_gateway.qido.expression import QidoQuery

_STUDY, _SERIES = side.gateway_study, side.gateway_series


@dataclass(frozen=True)
class OtherVariants(SideSearch):
    """Beside SideSearch of the same sight: of each UID whose main variant is hidden one that is not.

    That is the one of the best image set (Q-52) among those that are shown, as if there were no others. It is
    answered as it stands, so no answer mixes two patients.
    """

    name = "side, other variants"

    def variants(self, level: Level) -> list[Expression]:
        """The best shown variant where no main one is."""
        return [_is_best_of_studies(self)] if level == "study" else [_is_best_of_series(self)]


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
    """Whether `other` goes before `own`: the main one, else by the image sets that they are of."""
    return or_(
        other.c.is_main,
        is_of_better_set(other, own),
        and_(other.c.imageset_key == own.c.imageset_key, is_older),
    )


def searched(connection: Connection, query: QidoQuery, tables: SideSearch) -> list[SideSearch]:
    """`tables`, and the other variants where a sight may hide main ones."""
    if query.level == "instance" or tables.sight.is_everything or not has_variants(connection, query.level):
        return [tables]
    others = OtherVariants(tables.sight, tables.beside, tables.joins, tables.doubled, tables.without)
    return [tables, others]
