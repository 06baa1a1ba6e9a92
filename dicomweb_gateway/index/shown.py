"""Conditions that leave what lies in allowed data stores, over our side tables.

Each takes the table or an alias that stands for it, and gives no condition where all data stores are allowed.
"""

from sqlalchemy import FromClause, and_, exists

from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index.allowed import AllowedStores, in_allowed
from dicomweb_gateway.index.patterns import Expression


def studies_shown(studies: FromClause, stores: AllowedStores) -> list[Expression]:
    """Studies that one of their image sets shows; not those that only another patient's would."""
    if stores is None:
        return []
    one = side.gateway_imageset.alias("of_study")
    same = and_(one.c.study_uid == studies.c.study_uid, one.c.study_key == studies.c.study_key)
    return [exists().where(same, in_allowed(one.c.datastoreid, stores))]


def series_shown(series: FromClause, stores: AllowedStores) -> list[Expression]:
    """Series that an image set which holds them shows."""
    if stores is None:
        return []
    one, link = side.gateway_imageset.alias("of_series"), side.gateway_imageset_series.alias("link")
    of_study = and_(one.c.study_uid == series.c.study_uid, one.c.study_key == series.c.study_key)
    same = and_(link.c.imageset_key == one.c.imageset_key, link.c.series_uid == series.c.series_uid)
    return [exists().where(of_study, same, in_allowed(one.c.datastoreid, stores))]


def instances_shown(instances: FromClause, stores: AllowedStores) -> list[Expression]:
    """Instances whose image set may be shown."""
    if stores is None:
        return []
    one = side.gateway_imageset.alias("of_instance")
    same = one.c.imageset_key == instances.c.imageset_key
    return [exists().where(same, in_allowed(one.c.datastoreid, stores))]
