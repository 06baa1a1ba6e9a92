"""Which rows of the AWS tables our side tables do not know: the AWS Lambda alone wrote them (6.4).

A row is unknown when its UID, or for an image set its id, has no row in our tables. Image sets lead to series
and studies; instances that came with a new version of a known image set are looked for by themselves.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Subquery,
    and_,
    exists,
    func,
    literal,
    select,
    union_all,
)

from dicomweb_gateway.imagesets.store import ImageSetRef
from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index import tables as aws
from dicomweb_gateway.index.patterns import Expression
from dicomweb_gateway.index.seen_tables import IMAGE_SET, INSTANCE, gateway_seen, gateway_unknown_row
from dicomweb_gateway.index.shown import Stores, in_stores
from dicomweb_gateway.qido.attributes import Level
from dicomweb_gateway.qido.expression import QidoQuery, UidIn

FEW = 5000
"""Unknown rows up to which a search begins with them; above, it looks at rows in their order."""

MOST_BEHIND = 5000
"""Instances since the indexer looked, the oldest first, that searches of studies and series look at.

They add to numbers of instances only. More come while our own indexer fills the index, which looks on then.
"""

_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
_SET, _SERIES, _STUDY, _INSTANCE = aws.imageset, aws.series, aws.study, aws.instance


@dataclass(frozen=True, slots=True)
class UnknownRows:
    """The unknown rows of one level.

    `unknown`: the condition that tells them from those that our tables know. `few`: a table of their
    `key`s, to begin with, None where they are many.
    """

    unknown: Expression
    few: Subquery | None


def has_ours(connection: Connection) -> bool:
    """Whether our side tables hold anything."""
    return connection.execute(select(side.gateway_imageset.c.imageset_key).limit(1)).first() is not None


def number_unknown(connection: Connection, query: QidoQuery) -> int:
    """How much there is for a search that our side tables do not know, not counted beyond FEW."""
    return sum(connection.execute(_number(query)).one())


def number_of_unknown_sets(connection: Connection) -> int:
    """How many image sets only the AWS Lambda has indexed."""
    counted = [select(func.count()).select_from(part.subquery()).scalar_subquery() for part in _image_sets()]
    return sum(connection.execute(select(*counted)).one())


def unread_sets(connection: Connection, stores: Stores, most: int) -> list[ImageSetRef]:
    """Image sets of some data stores that only the AWS Lambda has indexed, `most` at most, in no order."""
    columns = (_SET.c.datastoreid, _SET.c.imagesetid)
    here = in_stores(_SET.c.datastoreid, stores)
    parts = _behind_or_noted(IMAGE_SET, columns, _SET.c.imageset_pkey)
    found = union_all(*(part.where(here).limit(most).subquery().select() for part in parts)).limit(most)
    return [ImageSetRef(*row) for row in connection.execute(found)]


def unknown_rows(query: QidoQuery, number: int) -> UnknownRows:
    """The unknown rows at the level of the search, `number` of them as far as they were counted."""
    level = query.level
    if number > FEW or _is_bounded(query):
        return UnknownRows(UNKNOWN[level], None)
    return UnknownRows(UNKNOWN[level], _keys(level).subquery("few"))


def unknown_series() -> Select[Any]:
    """Keys of series with an unknown image set."""
    found = union_all(*_image_sets()).subquery("unknown_sets")
    return select(_SERIES.c.series_pkey).join(found, found.c.series_pkey == _SERIES.c.series_pkey)


def grown_series() -> Select[Any]:
    """Keys of series with an unknown instance, which may be of a known image set."""
    found = union_all(*_some_instances()).subquery("unknown_instances")
    return select(_INSTANCE.c.series_pkey).join(found, found.c.instance_pkey == _INSTANCE.c.instance_pkey)


def _number(query: QidoQuery) -> Select[Any]:
    if query.level != "instance":
        return _NUMBER_ABOVE
    return _counted((_bounded(query),)) if _is_bounded(query) else _NUMBER_OF_INSTANCES


def _counted(candidates: tuple[Select[Any], ...]) -> Select[Any]:
    parts = (part.limit(FEW + 1).subquery(f"part{number}") for number, part in enumerate(candidates))
    return select(*(select(func.count()).select_from(part).scalar_subquery() for part in parts))


def _is_bounded(query: QidoQuery) -> bool:
    """Whether an instance search is of one study or of named UIDs, so that an index finds its rows."""
    return query.level == "instance" and (query.study_uid is not None or bool(_uids(query)))


def _uids(query: QidoQuery) -> list[UidIn]:
    return [one for one in query.conditions if isinstance(one, UidIn) and one.attribute.keyword in _UIDS]


def _bounded(query: QidoQuery) -> Select[Any]:
    """Unknown instances of the scope of a search, or of the studies of the UIDs that it names.

    Of these studies all, because answers tell how many instances they have (Q-47, Q-49).
    """
    tables = _INSTANCE.join(_SERIES, _SERIES.c.series_pkey == _INSTANCE.c.series_pkey).join(
        _STUDY, _STUDY.c.study_pkey == _SERIES.c.study_pkey
    )
    statement = select(_INSTANCE.c.instance_pkey).select_from(tables).where(UNKNOWN["instance"])
    if query.study_uid is not None:
        statement = statement.where(_STUDY.c.studyinstanceuid == query.study_uid)
    if query.series_uid is not None and not query.conditions:
        # keys may be about the study, where more is unknown than in the series
        statement = statement.where(_SERIES.c.seriesinstanceuid == query.series_uid)
    for one in _uids(query):
        statement = statement.where(_SERIES.c.study_pkey.in_(_studies_of(one)))
    return statement


def _studies_of(one: UidIn) -> Select[Any]:
    """Keys of the studies in which named UIDs lie."""
    series = _SERIES.alias("named_series")
    study, instance = _STUDY.alias("named_study"), _INSTANCE.alias("named_instance")
    match one.attribute.keyword:
        case "StudyInstanceUID":
            return select(study.c.study_pkey).where(study.c.studyinstanceuid.in_(one.values))
        case "SeriesInstanceUID":
            return select(series.c.study_pkey).where(series.c.seriesinstanceuid.in_(one.values))
    joined = select(series.c.study_pkey).join(instance, instance.c.series_pkey == series.c.series_pkey)
    return joined.where(instance.c.sopinstanceuid.in_(one.values))


def _keys(level: Level) -> Select[Any]:
    if level == "instance":
        return select(union_all(*_instances()).subquery("unknown_instances").c.instance_pkey.label("key"))
    series = unknown_series().subquery("unknown_series")
    if level == "series":
        return select(series.c.series_pkey.label("key")).distinct()
    joined = _SERIES.join(series, series.c.series_pkey == _SERIES.c.series_pkey)
    return select(_SERIES.c.study_pkey.label("key")).select_from(joined).distinct()


def _image_sets() -> tuple[Select[Any], ...]:
    pkey = _SET.c.imageset_pkey
    return _behind_or_noted(IMAGE_SET, (pkey, _SET.c.series_pkey), pkey)


def _instances() -> tuple[Select[Any], ...]:
    pkey = _INSTANCE.c.instance_pkey
    return _behind_or_noted(INSTANCE, (pkey,), pkey)


def _some_instances() -> tuple[Select[Any], ...]:
    """Unknown instances, of those that came since the indexer looked some."""
    _, noted = _instances()
    oldest = select(_INSTANCE.c.instance_pkey).where(_INSTANCE.c.instance_pkey > _upto(INSTANCE))
    behind = oldest.order_by(_INSTANCE.c.instance_pkey).limit(MOST_BEHIND).subquery("behind")
    same = behind.c.instance_pkey == _INSTANCE.c.instance_pkey
    return select(behind.c.instance_pkey).join(_INSTANCE, same).where(UNKNOWN_OF[INSTANCE]), noted


def _upto(kind: str) -> Any:
    found = select(func.coalesce(func.max(gateway_seen.c.upto), 0)).where(gateway_seen.c.kind == kind)
    return found.scalar_subquery()


def _behind_or_noted(kind: str, columns: Any, pkey: ColumnElement[int]) -> tuple[Select[Any], ...]:
    """Unknown rows among those that came since the indexer looked, and among those that it noted then."""
    unknown = UNKNOWN_OF[kind]
    behind = select(*columns).where(pkey > _upto(kind), unknown)
    noted = select(*columns).join(gateway_unknown_row, gateway_unknown_row.c.pkey == pkey)
    return behind, noted.where(gateway_unknown_row.c.kind == literal(kind), unknown)


def _not_in(table: Any, uid: str, other: ColumnElement[str]) -> Expression:
    return ~exists().where(table.c[uid] == other)


UNKNOWN: dict[Level, Expression] = {
    "study": _not_in(side.gateway_study, "study_uid", _STUDY.c.studyinstanceuid),
    "series": _not_in(side.gateway_series, "series_uid", _SERIES.c.seriesinstanceuid),
    "instance": _not_in(side.gateway_instance, "instance_uid", _INSTANCE.c.sopinstanceuid),
}
"""What makes a row of a level unknown."""


_KNOWN_SET = and_(
    side.gateway_imageset.c.datastoreid == _SET.c.datastoreid,
    side.gateway_imageset.c.imagesetid == _SET.c.imagesetid,
)
UNKNOWN_OF: dict[str, Expression] = {
    IMAGE_SET: ~exists().where(_KNOWN_SET),
    INSTANCE: UNKNOWN["instance"],
}
"""What makes a row of a kind unknown."""

_NUMBER_ABOVE = _counted((*_image_sets(), *_some_instances()))
_NUMBER_OF_INSTANCES = _counted(_instances())
"""Made once: every search of a database that the Lambda writes asks one of them."""
