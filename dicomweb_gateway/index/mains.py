"""Keeps what follows from the image sets of a study: main variants, orphans and counts (dicomweb.md Q-49)."""

from collections.abc import Mapping

from sqlalchemy import Connection, Table, and_, delete, func, select, update

from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index.chunks import portions
from dicomweb_gateway.index.image_set_rows import Links, StoredSet
from dicomweb_gateway.index.shown import instances_shown, series_shown, studies_shown
from dicomweb_gateway.index.variants import has_variants, is_best_instance
from dicomweb_gateway.sight import EVERYTHING, Sight

_STUDY, _SERIES, _INSTANCE = side.gateway_study, side.gateway_series, side.gateway_instance


def drop_orphans(connection: Connection, study_uid: str, sets: Mapping[int, StoredSet], links: Links) -> None:
    """Remove variants and series of the study that no image set describes any more."""
    described = {(sets[key].study_key, series_uid) for key, series_uid in links}
    query = select(_SERIES.c.series_key, _SERIES.c.study_key, _SERIES.c.series_uid)
    rows = connection.execute(query.where(_SERIES.c.study_uid == study_uid))
    gone = [row.series_key for row in rows if (row.study_key, row.series_uid) not in described]
    for keys in portions(gone):
        connection.execute(delete(_SERIES).where(_SERIES.c.series_key.in_(keys)))
    variants = {one.study_key for one in sets.values()}
    query = select(_STUDY.c.study_key).where(_STUDY.c.study_uid == study_uid)
    for study_key in connection.execute(query).scalars().all():
        if study_key not in variants:
            connection.execute(delete(_STUDY).where(_STUDY.c.study_key == study_key))


def mark_mains(connection: Connection, study_uid: str, sets: Mapping[int, StoredSet], links: Links) -> None:
    """Mark the variant of the best image set, and for each series that of the best set that holds it."""
    best: dict[str, StoredSet] = {}
    for key, series_uid in links:
        one = sets[key]
        if series_uid not in best or one.rank > best[series_uid].rank:
            best[series_uid] = one
    main = max(sets.values(), key=lambda one: one.rank).study_key if sets else None
    rows = connection.execute(
        select(_STUDY.c.study_key, _STUDY.c.is_main).where(_STUDY.c.study_uid == study_uid)
    ).all()
    for row in rows:
        if row.is_main != (row.study_key == main):
            _set(connection, _STUDY, "study_key", row.study_key, is_main=row.study_key == main)
    query = select(_SERIES.c.series_key, _SERIES.c.study_key, _SERIES.c.series_uid, _SERIES.c.is_main)
    for found in connection.execute(query.where(_SERIES.c.study_uid == study_uid)).all():
        is_main = found.study_key == best[found.series_uid].study_key
        if found.is_main != is_main:
            _set(connection, _SERIES, "series_key", found.series_key, is_main=is_main)


def count(connection: Connection, study_uid: str) -> dict[str, int]:
    """Write the numbers of related series and instances; each instance once, by series UID."""
    counted = (
        select(_SERIES.c.series_uid, func.count(_INSTANCE.c.instance_uid.distinct()))
        .outerjoin(_INSTANCE, _INSTANCE.c.series_key == _SERIES.c.series_key)
        .where(_SERIES.c.study_uid == study_uid)
        .group_by(_SERIES.c.series_uid)
    )
    numbers: dict[str, int] = {row[0]: row[1] for row in connection.execute(counted)}
    query = select(_SERIES.c.series_key, _SERIES.c.series_uid, _SERIES.c.instance_count)
    for row in connection.execute(query.where(_SERIES.c.study_uid == study_uid)).all():
        if row.instance_count != numbers[row.series_uid]:
            _set(connection, _SERIES, "series_key", row.series_key, instance_count=numbers[row.series_uid])
    connection.execute(
        update(_STUDY)
        .where(_STUDY.c.study_uid == study_uid)
        .values(series_count=len(numbers), instance_count=sum(numbers.values()))
    )
    return numbers


def totals(connection: Connection, sight: Sight = EVERYTHING) -> dict[str, int]:
    """How many studies, series and instances a search without keys finds."""
    studies = select(func.count()).select_from(_STUDY).where(_STUDY.c.is_main)
    series = select(func.count()).select_from(_SERIES).where(_SERIES.c.is_main)
    if not sight.is_everything:
        uids = select(_STUDY.c.study_uid).where(*studies_shown(_STUDY, sight)).distinct()
        studies = select(func.count()).select_from(uids.subquery("shown_studies"))
        both = select(_SERIES.c.study_uid, _SERIES.c.series_uid).where(*series_shown(_SERIES, sight))
        series = select(func.count()).select_from(both.distinct().subquery("shown_series"))
    instances = select(func.count()).select_from(_INSTANCE).where(*instances_shown(_INSTANCE, sight))
    is_doubled = has_variants(connection, "instance")
    if is_doubled and not sight.is_everything:
        shown = instances_shown(_INSTANCE, sight, _SERIES)
        instances = select(func.count()).select_from(_INSTANCE.join(_SERIES))
        instances = instances.where(is_best_instance(sight), *shown)
    queries = {"studies": studies, "series": series, "instances": instances}
    found = {name: connection.execute(query).scalar_one() for name, query in queries.items()}
    if is_doubled and sight.is_everything:
        found["instances"] -= _given_again(connection)
    return found


def _given_again(connection: Connection) -> int:
    """How many rows of instances are there beside the first of each; only series with variants are read."""
    other = _SERIES.alias("variants")
    several = select(other.c.study_uid, other.c.series_uid).where(~other.c.is_main).distinct().subquery()
    same = and_(several.c.study_uid == _SERIES.c.study_uid, several.c.series_uid == _SERIES.c.series_uid)
    rows = select(
        _SERIES.c.study_uid, _SERIES.c.series_uid, _INSTANCE.c.instance_uid, func.count().label("n")
    )
    rows = rows.select_from(
        several.join(_SERIES, same).join(_INSTANCE, _INSTANCE.c.series_key == _SERIES.c.series_key)
    )
    each = rows.group_by(_SERIES.c.study_uid, _SERIES.c.series_uid, _INSTANCE.c.instance_uid).subquery(
        "each_once"
    )
    return int(connection.execute(select(func.coalesce(func.sum(each.c.n - 1), 0))).scalar_one())


def _set(connection: Connection, table: Table, key_name: str, key: int, **values: object) -> None:
    connection.execute(update(table).where(table.c[key_name] == key).values(values))
