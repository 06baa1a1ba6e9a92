"""Conditions that leave what a sight shows, over our side tables.

Each takes the table or an alias that stands for it, and gives no condition where nothing is hidden. A series
is judged by the columns of its own row and of its study's variant, so that two patients under one UID are
two things; it lies in a data store when an image set there holds it. A study is shown when one of its series
is, an instance when its series is and the image set that gives it lies in a data store of the same grant.
"""

from collections.abc import Callable

from sqlalchemy import ColumnElement, FromClause, and_, exists, func, select, true

from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index.patterns import Expression, any_of, like_any
from dicomweb_gateway.index.tables import TEXT_LENGTH
from dicomweb_gateway.index.traits import Wanted, of_series, of_study, text_patterns
from dicomweb_gateway.sight import Grant, Sight

_SERIES, _STUDY = side.gateway_series, side.gateway_study

Stores = frozenset[str] | None
"""Ids of data stores; None: all."""


def in_stores(datastore_id: ColumnElement[str], stores: Stores) -> ColumnElement[bool]:
    """The condition that leaves rows of these data stores; nothing in SQL where all are meant."""
    return true() if stores is None else datastore_id.in_(sorted(stores))


def one_grant(sight: Sight, condition: Callable[[Grant], Expression]) -> list[Expression]:
    """`condition` of one of the sight's grants; nothing in SQL where nothing is hidden.

    Grants that want no more than data stores are taken together.
    """
    if sight.is_everything:
        return []
    plain = [grant.stores or frozenset() for grant in sight.grants if not grant.wanted]
    grants = [Grant(frozenset().union(*plain))] if plain else []
    return [any_of(condition(grant) for grant in [*grants, *(one for one in sight.grants if one.wanted)])]


def studies_shown(studies: FromClause, sight: Sight, joins: bool = False) -> list[Expression]:
    """Studies that one of their series shows; not those that only another patient's would.

    `joins`: in a form that a database may turn round and begin with the series.
    """
    return one_grant(sight, lambda grant: _study_shown(studies, grant, joins))


def series_shown(series: FromClause, sight: Sight, studies: FromClause | None = None) -> list[Expression]:
    """Series that an image set which holds them shows; `studies`: the variants, where they are joined."""
    return one_grant(
        sight, lambda grant: and_(*_series_wanted(series, studies, grant), *_held(series, grant.stores))
    )


def instances_shown(
    instances: FromClause, sight: Sight, series: FromClause | None = None, studies: FromClause | None = None
) -> list[Expression]:
    """Instances that their image set and their series show; `series`, `studies`: where they are joined."""
    return one_grant(sight, lambda grant: _instance_shown(instances, series, studies, grant))


def rows_shown(sets: FromClause, series: FromClause, sight: Sight) -> list[Expression]:
    """Rows of instances that are joined with their series and with the image sets that give them."""
    return one_grant(
        sight,
        lambda grant: and_(in_stores(sets.c.datastoreid, grant.stores), *_series_wanted(series, None, grant)),
    )


def _study_shown(studies: FromClause, grant: Grant, joins: bool) -> Expression:
    own = _meets(studies, of_study(grant.wanted))
    below = of_series(grant.wanted)
    if not below:
        return and_(*own, *_of_study(studies, grant.stores))
    one = _SERIES.alias("seen_series")
    meets = [*_meets(one, below), *_held(one, grant.stores)]
    if joins:
        mine = one.c.study_key == studies.c.study_key
        return and_(*own, exists().where(mine, *meets).correlate(studies))
    same = and_(one.c.study_uid == studies.c.study_uid, one.c.study_key == studies.c.study_key)
    counted = select(func.count()).select_from(one).where(same, *meets)
    return and_(*own, counted.correlate(studies).scalar_subquery() > 0)


def _instance_shown(
    instances: FromClause, series: FromClause | None, studies: FromClause | None, grant: Grant
) -> Expression:
    conditions: list[Expression] = []
    if grant.stores is not None:
        one = side.gateway_imageset.alias("of_instance")
        same = one.c.imageset_key == instances.c.imageset_key
        conditions.append(
            exists().where(same, in_stores(one.c.datastoreid, grant.stores)).correlate(instances)
        )
    if grant.wanted and series is None:
        above = _SERIES.alias("series_of_instance")
        mine = above.c.series_key == instances.c.series_key
        conditions.append(exists().where(mine, *_series_wanted(above, None, grant)).correlate(instances))
    elif series is not None:
        conditions += _series_wanted(series, studies, grant)
    return and_(true(), *conditions)


def _series_wanted(series: FromClause, studies: FromClause | None, grant: Grant) -> list[Expression]:
    """What a grant wants of a series and of its study."""
    own, above = _meets(series, of_series(grant.wanted)), of_study(grant.wanted)
    if not above:
        return [true(), *own]
    if studies is not None:
        return [*own, *_meets(studies, above)]
    one = _STUDY.alias("seen_study")
    same = one.c.study_key == series.c.study_key
    return [*own, exists().where(same, *_meets(one, above)).correlate(series)]


def _of_study(studies: FromClause, stores: Stores) -> list[Expression]:
    """An image set of the study's variant lies in one of `stores`."""
    if stores is None:
        return []
    one = side.gateway_imageset.alias("of_study")
    same = and_(one.c.study_uid == studies.c.study_uid, one.c.study_key == studies.c.study_key)
    return [exists().where(same, in_stores(one.c.datastoreid, stores)).correlate(studies)]


def _held(series: FromClause, stores: Stores) -> list[Expression]:
    """An image set that holds the series lies in one of `stores`."""
    if stores is None:
        return []
    one, link = side.gateway_imageset.alias("of_series"), side.gateway_imageset_series.alias("link")
    of_variant = and_(one.c.study_uid == series.c.study_uid, one.c.study_key == series.c.study_key)
    same = and_(link.c.imageset_key == one.c.imageset_key, link.c.series_uid == series.c.series_uid)
    return [exists().where(of_variant, same, in_stores(one.c.datastoreid, stores)).correlate(series)]


def _meets(rows: FromClause, wanted: Wanted) -> list[Expression]:
    """Each wanted column is like one of its patterns; what may be cut is like none (`traits`)."""
    conditions: list[Expression] = []
    for keyword, patterns in wanted:
        column = rows.c[keyword.lower()]
        known = text_patterns(patterns)
        conditions.append(like_any(column, known))
        if any(one.wildcard for one in known):
            conditions.append(func.length(func.substr(column, TEXT_LENGTH, 1)) == 0)
    return conditions
