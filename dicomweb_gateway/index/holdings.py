"""Which image sets may be seen as a whole, for HealthImaging's own operations (healthimaging.md 7.2)."""

from collections.abc import Iterable

from sqlalchemy import Connection, and_, select

from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index.chunks import portions
from dicomweb_gateway.index.series_traits import TRAIT_COLUMNS
from dicomweb_gateway.index.traits import traits_of_columns
from dicomweb_gateway.sight import Sight

_SET, _LINK = side.gateway_imageset, side.gateway_imageset_series
_SERIES, _STUDY = side.gateway_series, side.gateway_study


def indexed_versions(
    connection: Connection, datastore_id: str, image_set_ids: Iterable[str]
) -> dict[str, str]:
    """By their ids the versions at which our side tables know image sets of a data store."""
    found: dict[str, str] = {}
    for ids in portions(image_set_ids):
        query = select(_SET.c.imagesetid, _SET.c.version).where(_SET.c.datastoreid == datastore_id)
        query = query.where(_SET.c.state == side.ACTIVE, _SET.c.imagesetid.in_(ids))
        found.update((uid, str(version)) for uid, version in connection.execute(query))
    return found


def whole_sets(
    connection: Connection, datastore_id: str, image_set_ids: Iterable[str], sight: Sight
) -> dict[str, bool]:
    """Of the image sets of a data store that our side tables know, whether all of their series are shown.

    One without a known series is only for those from whom nothing is hidden.
    """
    series = and_(_SERIES.c.study_key == _SET.c.study_key, _SERIES.c.series_uid == _LINK.c.series_uid)
    tables = (
        _SET.outerjoin(_LINK, _LINK.c.imageset_key == _SET.c.imageset_key)
        .outerjoin(_SERIES, series)
        .outerjoin(_STUDY, _STUDY.c.study_key == _SERIES.c.study_key)
    )
    found: dict[str, bool] = {}
    for ids in portions(image_set_ids):
        query = select(_SET.c.imagesetid, _SERIES.c.series_key, *TRAIT_COLUMNS).select_from(tables)
        query = query.where(_SET.c.datastoreid == datastore_id, _SET.c.state == side.ACTIVE)
        for uid, series_key, *values in connection.execute(query.where(_SET.c.imagesetid.in_(ids))):
            shown = sight.is_everything or (
                series_key is not None and sight.shows(datastore_id, traits_of_columns(values))
            )
            found[uid] = found.get(uid, True) and shown
    return found
