"""The traits of series in our side tables, by which sights judge what is kept in memory."""

from collections.abc import Iterable

from sqlalchemy import Connection, select

from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index.chunks import portions
from dicomweb_gateway.index.traits import traits_of_columns
from dicomweb_gateway.sight import STUDY_TRAITS, TRAITS, Traits

_SERIES, _STUDY = side.gateway_series, side.gateway_study

TRAIT_COLUMNS = tuple(
    (_STUDY if keyword in STUDY_TRAITS else _SERIES).c[keyword.lower()] for keyword in TRAITS
)
"""Of a series joined with its study, in the order of TRAITS."""


def traits_of(connection: Connection, series_keys: Iterable[int]) -> dict[int, Traits]:
    """The traits of series by their key."""
    found: dict[int, Traits] = {}
    joined = _SERIES.join(_STUDY, _STUDY.c.study_key == _SERIES.c.study_key)
    for keys in portions(series_keys):
        query = select(_SERIES.c.series_key, *TRAIT_COLUMNS).select_from(joined)
        for row in connection.execute(query.where(_SERIES.c.series_key.in_(keys))):
            found[row[0]] = traits_of_columns(row[1:])
    return found
