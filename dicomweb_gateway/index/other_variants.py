"""Studies and series of which a sight shows not the main variant but another one (side_tables.py)."""

from dataclasses import dataclass

from sqlalchemy import Connection, FromClause, and_, exists, or_

from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index.patterns import Expression
from dicomweb_gateway.index.shown import series_shown, studies_shown
from dicomweb_gateway.index.side_search import SideSearch
from dicomweb_gateway.index.traits import of_series
from dicomweb_gateway.index.variants import has_variants, is_of_better_set
from dicomweb_gateway.qido.attributes import Level
from dicomweb_gateway.qido.expression import QidoQuery
from dicomweb_gateway.sight import Sight

_STUDY, _SERIES = side.gateway_study, side.gateway_series


@dataclass(frozen=True)
class MainVariants(SideSearch):
    """SideSearch where a sight may hide the image sets for which a main variant of a study is the main one.

    A rule that asks for attributes of series may show others of the variant, of which none is as good as
    those of another variant: then that one is shown, as if there were no hidden ones.
    """

    def variants(self, level: Level) -> list[Expression]:
        """The main one where what is shown of it is the best that is shown."""
        main = super().variants(level)
        return [*main, ~_is_behind(self)] if level == "study" else main


@dataclass(frozen=True)
class OtherVariants(SideSearch):
    """Beside SideSearch of the same sight: of each UID whose main variant is hidden one that is not.

    That is the one of the best image set (Q-52) among those that are shown, as if there were no others. It is
    answered as it stands, so no answer mixes two patients.
    """

    name = "side, other variants"

    def variants(self, level: Level) -> list[Expression]:
        """The best shown variant where no main one is."""
        if level != "study":
            return [_is_best_of_series(self)]
        return [~_STUDY.c.is_main, ~_is_behind(self)]


def _is_behind(tables: SideSearch) -> Expression:
    """Whether another variant of the study is shown that goes before it."""
    other = _STUDY.alias("better_study")
    same = and_(other.c.study_uid == _STUDY.c.study_uid, other.c.study_key != _STUDY.c.study_key)
    if _asks_for_series(tables.sight):
        better, shown = _shows_better(other, _STUDY, tables.sight), []
    else:
        better = _is_better(other, _STUDY, other.c.study_key < _STUDY.c.study_key)
        shown = studies_shown(other, tables.sight)
    return exists().where(same, better, *shown).correlate(_STUDY)


def _shows_better(other: FromClause, own: FromClause, sight: Sight) -> Expression:
    """Whether one of the shown series of `other` is of a better image set than all those of `own`.

    A series is of the best image set that gives it in its variant, and all of these say what rules judge
    it by.
    """
    theirs, ours = _SERIES.alias("their_series"), _SERIES.alias("our_series")
    mine = and_(ours.c.study_uid == own.c.study_uid, ours.c.study_key == own.c.study_key)
    behind = exists().where(mine, is_of_better_set(ours, theirs), *series_shown(ours, sight))
    of_other = and_(theirs.c.study_uid == other.c.study_uid, theirs.c.study_key == other.c.study_key)
    better = exists().where(of_other, *series_shown(theirs, sight), ~behind.correlate(theirs, own))
    return better.correlate(other, own)


def _asks_for_series(sight: Sight) -> bool:
    return any(of_series(grant.wanted) for grant in sight.grants)


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
    told = (tables.sight, tables.beside, tables.joins, tables.doubled, tables.without)
    judges = query.level == "study" and _asks_for_series(tables.sight)
    return [MainVariants(*told) if judges else tables, OtherVariants(*told)]
