"""Studies and series of which a sight shows not the main variant but another patient's (side_tables.py)."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, exists, or_, select

from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index.patterns import Expression
from dicomweb_gateway.index.shown import series_shown, studies_shown
from dicomweb_gateway.index.side_search import SideSearch
from dicomweb_gateway.qido.attributes import Level
from dicomweb_gateway.qido.expression import QidoQuery

_STUDY, _SERIES = side.gateway_study, side.gateway_series


@dataclass(frozen=True)
class OtherVariants(SideSearch):
    """Beside SideSearch of the same sight: of each UID whose main variant is hidden one that is not.

    That is the one that was indexed first. It is answered as it stands, so no answer mixes two patients.
    """

    name = "side, other variants"

    def variants(self, level: Level) -> list[Expression]:
        """The first shown variant where no main one is; instances have no variants."""
        if level == "instance":
            return []
        return [_is_first_of_studies(self)] if level == "study" else [_is_first_of_series(self)]


def has_variants(connection: Connection, level: Level) -> bool:
    """Whether any UID of a level has more than its main variant: hardly any index does."""
    if level == "instance":
        return False
    table: Any = _STUDY if level == "study" else _SERIES
    return connection.execute(select(table.c.study_key).where(~table.c.is_main).limit(1)).first() is not None


def _is_first_of_studies(tables: SideSearch) -> Expression:
    other = _STUDY.alias("better_study")
    better = or_(other.c.is_main, other.c.study_key < _STUDY.c.study_key)
    same = other.c.study_uid == _STUDY.c.study_uid
    hidden = ~exists().where(same, better, *studies_shown(other, tables.sight)).correlate(_STUDY)
    return and_(~_STUDY.c.is_main, hidden)


def _is_first_of_series(tables: SideSearch) -> Expression:
    other = _SERIES.alias("better_series")
    better = or_(other.c.is_main, other.c.series_key < _SERIES.c.series_key)
    same = and_(other.c.study_uid == _SERIES.c.study_uid, other.c.series_uid == _SERIES.c.series_uid)
    hidden = ~exists().where(same, better, *series_shown(other, tables.sight)).correlate(_SERIES)
    return and_(~_SERIES.c.is_main, hidden)


def searched(connection: Connection, query: QidoQuery, tables: SideSearch) -> list[SideSearch]:
    """`tables`, and the other variants where a sight may hide main ones."""
    if tables.sight.is_everything or not has_variants(connection, query.level):
        return [tables]
    return [tables, OtherVariants(tables.sight, tables.beside, tables.joins)]
