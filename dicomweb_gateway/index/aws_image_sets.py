"""Which image sets the AWS Lambda's rows name, and which of them our side tables do not know."""

from collections.abc import Collection
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, select

from dicomweb_gateway.imagesets.store import ImageSetRef
from dicomweb_gateway.index import side_reader
from dicomweb_gateway.index import tables as aws
from dicomweb_gateway.index.engine import lacks_table
from dicomweb_gateway.index.shown import Stores, in_stores
from dicomweb_gateway.index.unknown_rows import UNKNOWN

_STUDY, _SERIES, _SET = aws.study, aws.series, aws.imageset


class SetRow(NamedTuple):
    """An image set and the series that its row names."""

    ref: ImageSetRef
    series_uid: str


def image_set_rows(connection: Connection, study_uid: str, stores: Stores) -> list[SetRow]:
    """The image sets of a study in some data stores by the AWS tables, written last first."""
    rows = connection.execute(_rows_of(stores).where(_STUDY.c.studyinstanceuid == study_uid))
    return [SetRow(ImageSetRef(store, uid), series) for store, uid, series in rows]


def sets_of_studies(connection: Connection, study_uids: Collection[str], stores: Stores) -> list[ImageSetRef]:
    """Those of several studies, in one statement: without our index each would read all of the table."""
    rows = connection.execute(_rows_of(stores).where(_STUDY.c.studyinstanceuid.in_(sorted(study_uids))))
    return list(dict.fromkeys(ImageSetRef(store, uid) for store, uid, _ in rows))


def _rows_of(stores: Stores) -> Select[Any]:
    return (
        select(_SET.c.datastoreid, _SET.c.imagesetid, _SERIES.c.seriesinstanceuid)
        .select_from(_STUDY.join(_SERIES, _SERIES.c.study_pkey == _STUDY.c.study_pkey))
        .join(_SET, _SET.c.series_pkey == _SERIES.c.series_pkey)
        .where(in_stores(_SET.c.datastoreid, stores))
        .order_by(_SET.c.imageset_pkey.desc())
    )


def of_series(rows: list[SetRow], series_uid: str | None = None) -> list[ImageSetRef]:
    """The image sets that may hold a series, or all of them.

    A series without one may lie in an image set of several series, whose row names but one of them: then
    all of the study's are candidates.
    """
    own = [row for row in rows if row.series_uid == series_uid]
    return [row.ref for row in own or rows]


def identity(ref: ImageSetRef) -> tuple[str, str]:
    """An image set, whatever its version."""
    return ref.datastore_id, ref.image_set_id


_NOBODYS = ImageSetRef("", "")
"""The image set that there is not."""


def unknown_sets(connection: Connection, refs: list[ImageSetRef]) -> list[ImageSetRef]:
    """Those of `refs` that our side tables do not know; all of them where there are no side tables.

    One that they know is among them when the Lambda noted an instance of it that they do not know: then it
    has a newer version. To look costs the same where there are none: that must not tell whether a hidden
    study exists.
    """
    asked = refs or [_NOBODYS]
    try:
        known = side_reader.known_among(connection, asked) - _with_unknown_instances(connection, asked)
    except Exception as error:
        if not lacks_table(error):
            raise
        known = set()
    return [ref for ref in refs if identity(ref) not in known]


def _with_unknown_instances(connection: Connection, refs: list[ImageSetRef]) -> set[tuple[str, str]]:
    query = (
        select(_SET.c.datastoreid, _SET.c.imagesetid)
        .join(aws.instance, aws.instance.c.imageset_pkey == _SET.c.imageset_pkey)
        .where(_SET.c.imagesetid.in_([ref.image_set_id for ref in refs]), UNKNOWN["instance"])
        .distinct()
    )
    return {(row.datastoreid, row.imagesetid) for row in connection.execute(query)}
