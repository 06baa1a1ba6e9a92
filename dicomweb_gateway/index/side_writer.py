"""Writes one image set's document into our side tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, delete, insert, select, update

from dicomweb_gateway.imagesets.metadata import ImageSetDocument, InstanceDocument, SeriesDocument
from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index.chunks import FRAME_PORTION, insert_row, portions
from dicomweb_gateway.index.image_set_rows import Links, StoredSet
from dicomweb_gateway.index.rows import (
    Row,
    frame_rows,
    instance_row,
    name_rows,
    request_rows,
    series_row,
    study_row,
    trait_columns,
    variant_key,
    word_rows,
)
from dicomweb_gateway.sight import SERIES_TRAITS

_STUDY, _SERIES = side.gateway_study, side.gateway_series
_INSTANCE, _FRAME = side.gateway_instance, side.gateway_frame

_SERIES_TRAITS = tuple(_SERIES.c[keyword.lower()] for keyword in SERIES_TRAITS)

Held = set[tuple[str, str]]
"""(series UID, instance UID) pairs."""


class Claim(NamedTuple):
    """UIDs of the instances that an image set gives, and those that a better one gives in another variant."""

    given: list[str]
    behind: set[str]


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes for image set `own`; `sets` are all image sets of its study, `own` included, `links` theirs.

    `zone` is the time zone of moments in data that names none.
    """

    connection: Connection
    own: StoredSet
    sets: Mapping[int, StoredSet]
    links: Links
    zone: tzinfo

    def wins_over(self, imageset_key: int | None) -> bool:
        """Whether what `imageset_key` gave is to be replaced by ours."""
        other = None if imageset_key is None else self.sets.get(imageset_key)
        return other is None or other.imageset_key == self.own.imageset_key or self.own.rank > other.rank

    def _writes_over(self, imageset_key: int | None, study_key: int, series_uid: str | None = None) -> bool:
        """Whether what `imageset_key` said of a variant, or of a series of it, is to be replaced by ours.

        Always where it has gone to another variant since, or holds the series no more.
        """
        other = None if imageset_key is None else self.sets.get(imageset_key)
        holds = series_uid is None or (imageset_key, series_uid) in self.links
        return other is None or other.study_key != study_key or not holds or self.wins_over(imageset_key)

    def put_study(self, document: ImageSetDocument) -> int:
        """The study variant of the document's patient, written where we win; its key.

        An image set that says otherwise of a series than others of the variant do, in what rules judge it
        by, gets a variant apart: a series' row says what all its image sets say, so that it shows none of
        them for another's sake, and hides none.
        """
        identity = {"study_uid": document.study_uid, "patient_key": variant_key(document)}
        found = self._variant(identity)
        if found is not None and self._contradicts(int(found.study_key), document):
            identity["patient_key"] = variant_key(document, apart=True)
            found = self._variant(identity)
        if found is not None and not self._writes_over(found.imageset_key, int(found.study_key)):
            return int(found.study_key)
        values = {**study_row(document), "imageset_key": self.own.imageset_key}
        if found is None:
            new = {**identity, **values, "is_main": False, "series_count": 0, "instance_count": 0}
            key = insert_row(self.connection, _STUDY, new)
        else:
            key = int(found.study_key)
            self.connection.execute(update(_STUDY).where(_STUDY.c.study_key == key).values(values))
        self._put_children(side.gateway_person_name, "study_key", key, name_rows(document))
        self._put_children(side.gateway_name_word, "study_key", key, word_rows(document))
        return key

    def _variant(self, identity: Mapping[str, str]) -> Any:
        query = select(_STUDY.c.study_key, _STUDY.c.imageset_key).filter_by(**identity)
        return self.connection.execute(query).first()

    def _contradicts(self, study_key: int, document: ImageSetDocument) -> bool:
        """Whether the document says otherwise of a series that another image set of the variant holds."""
        others = {
            uid
            for key, uid in self.links
            if key != self.own.imageset_key and self.sets[key].study_key == study_key
        }
        shared = [one for one in document.series() if one.series_uid in others]
        query = select(_SERIES.c.series_uid, *_SERIES_TRAITS).where(_SERIES.c.study_key == study_key)
        rows = {row[0]: row[1:] for row in self.connection.execute(query)} if shared else {}
        return any(
            tuple(trait_columns(one).values()) != tuple(rows[one.series_uid])
            for one in shared
            if one.series_uid in rows
        )

    def put_series(self, study_key: int, series: SeriesDocument) -> int:
        """One series below that variant, written where we win; its key."""
        identity = {"study_key": study_key, "series_uid": series.series_uid}
        found = self.connection.execute(
            select(_SERIES.c.series_key, _SERIES.c.imageset_key).filter_by(**identity)
        ).first()
        if found is not None and not self._writes_over(found.imageset_key, study_key, series.series_uid):
            return int(found.series_key)
        values = {**series_row(series), "imageset_key": self.own.imageset_key}
        if found is None:
            new = {
                **identity,
                **values,
                "study_uid": self.own.study_uid,
                "is_main": False,
                "instance_count": 0,
            }
            key = insert_row(self.connection, _SERIES, new)
        else:
            key = int(found.series_key)
            self.connection.execute(update(_SERIES).where(_SERIES.c.series_key == key).values(values))
        self._put_children(side.gateway_request, "series_key", key, request_rows(series))
        return key

    def claim(self, series_key: int, series: SeriesDocument) -> Claim:
        """The instances of `series` that we are to give; what weaker image sets gave of them is removed.

        Image sets of other variants give theirs too, for those who may not see ours. Our own earlier rows
        must be gone (`forget`).
        """
        query = (
            select(
                _INSTANCE.c.instance_key,
                _INSTANCE.c.series_key,
                _INSTANCE.c.instance_uid,
                _INSTANCE.c.imageset_key,
            )
            .join(_SERIES)
            .where(_SERIES.c.study_uid == self.own.study_uid, _SERIES.c.series_uid == series.series_uid)
        )
        lost: set[str] = set()
        behind: set[str] = set()
        beaten: list[int] = []
        for row in self.connection.execute(query):
            if row.instance_uid not in series.raw_instances:
                continue
            is_won = self.wins_over(row.imageset_key)
            if not is_won:
                behind.add(row.instance_uid)
            if row.series_key == series_key:
                if is_won:
                    beaten.append(row.instance_key)
                else:
                    lost.add(row.instance_uid)
        for keys in portions(beaten):
            self.connection.execute(delete(_INSTANCE).where(_INSTANCE.c.instance_key.in_(keys)))
        return Claim([uid for uid in series.raw_instances if uid not in lost], behind)

    def put_instances(self, series_key: int, instances: list[InstanceDocument]) -> None:
        """New rows for claimed instances and their frames."""
        owner = {"series_key": series_key, "imageset_key": self.own.imageset_key}
        rows = [{**owner, **instance_row(one, self.zone)} for one in instances]
        self.connection.execute(insert(_INSTANCE), rows)
        uids = [one.instance_uid for one in instances]
        query = select(_INSTANCE.c.instance_uid, _INSTANCE.c.instance_key).where(
            _INSTANCE.c.series_key == series_key, _INSTANCE.c.instance_uid.in_(uids)
        )
        keys = {row.instance_uid: row.instance_key for row in self.connection.execute(query)}
        frames = (
            {"instance_key": keys[one.instance_uid], **row} for one in instances for row in frame_rows(one)
        )
        for some in portions(frames, FRAME_PORTION):
            self.connection.execute(insert(_FRAME), some)

    def _put_children(self, table: Table, owner: str, key: int, rows: list[Row]) -> None:
        self.connection.execute(delete(table).where(table.c[owner] == key))
        if rows:
            self.connection.execute(insert(table), [{owner: key, **row} for row in rows])


def forget(connection: Connection, imageset_key: int) -> Held:
    """Remove all instances that an image set gave; which they were."""
    mine = _INSTANCE.c.imageset_key == imageset_key
    query = select(_SERIES.c.series_uid, _INSTANCE.c.instance_uid).join(_SERIES).where(mine)
    held = {(row.series_uid, row.instance_uid) for row in connection.execute(query)}
    connection.execute(delete(_INSTANCE).where(mine))
    return held
