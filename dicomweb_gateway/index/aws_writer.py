"""Writes what our side tables decided into the AWS tables, for those who read them (healthimaging.md 6.2).

These tables know one row for each UID, without its parents. Where two studies claim one UID, the row stays
with the first unless the later image set is primary.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, Table, delete, exists, func, insert, select, update

from dicomweb_gateway.imagesets.metadata import ImageSetDocument, InstanceDocument, SeriesDocument
from dicomweb_gateway.imagesets.values import text
from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index import tables as aws
from dicomweb_gateway.index.chunks import FRAME_PORTION, insert_row, portions
from dicomweb_gateway.index.column_values import columns
from dicomweb_gateway.index.image_set_rows import StoredSet
from dicomweb_gateway.index.rows import (
    PATIENT_KEYWORDS,
    SERIES_KEYWORDS,
    STUDY_KEYWORDS,
    Row,
    aws_instance_row,
    frame_rows,
)

_INSTANCE, _FRAME = aws.instance, aws.frame


@dataclass(frozen=True, slots=True)
class AwsWriter:
    """Writes for image set `own`; the main variants must be marked already."""

    connection: Connection
    own: StoredSet

    def put_study(self, document: ImageSetDocument) -> int:
        """The study's row, with its patient, written where our image set speaks for the study; its key."""
        uid = self.own.study_uid
        main = side.gateway_study
        owner = self._one(select(main.c.imageset_key).where(main.c.study_uid == uid, main.c.is_main))
        query = select(aws.study.c.study_pkey, aws.study.c.patient_pkey)
        known = self.connection.execute(query.where(aws.study.c.studyinstanceuid == uid)).first()
        if known is not None and owner != self.own.imageset_key:
            return int(known.study_pkey)
        values = columns(aws.study, STUDY_KEYWORDS, document.study)
        values |= {"studyinstanceuid": uid, "patient_pkey": self._put_patient(document)}
        key = self._put(aws.study, None if known is None else known.study_pkey, values)
        if known is not None and known.patient_pkey != values["patient_pkey"]:
            _drop_patient(self.connection, known.patient_pkey)
        return key

    def put_series(self, study_pkey: int, series: SeriesDocument) -> int:
        """The series' row, written where our image set speaks for it; its key."""
        table, main = aws.series, side.gateway_series
        owner = self._one(
            select(main.c.imageset_key).where(
                main.c.study_uid == self.own.study_uid, main.c.series_uid == series.series_uid, main.c.is_main
            )
        )
        query = select(table.c.series_pkey, table.c.study_pkey)
        known = self.connection.execute(query.where(table.c.seriesinstanceuid == series.series_uid)).first()
        if known is not None:
            ours = known.study_pkey == study_pkey or bool(self.own.is_primary)
            if owner != self.own.imageset_key or not ours:
                return int(known.series_pkey)
        values = columns(table, SERIES_KEYWORDS, series.tags)
        values |= {"seriesinstanceuid": series.series_uid, "study_pkey": study_pkey}
        return self._put(table, None if known is None else known.series_pkey, values)

    def put_image_set(self, series_pkey: int) -> int:
        """The image set's row; a new one beside others of its series is noted in `conflict` (6.2)."""
        table = aws.imageset
        identity = {"imagesetid": self.own.imagesetid, "datastoreid": self.own.datastoreid}
        found = self.connection.execute(select(table).filter_by(**identity)).first()
        if found is not None and found.series_pkey == series_pkey:
            return int(found.imageset_pkey)
        known = None if found is None else int(found.imageset_pkey)
        key = self._put(table, known, {**identity, "series_pkey": series_pkey})
        query = select(table.c.imageset_pkey).where(table.c.series_pkey == series_pkey)
        keys = list(self.connection.execute(query).scalars())
        for other in keys if len(keys) == 2 else [key] if len(keys) > 2 else []:
            self._note_conflict(series_pkey, other)
        return key

    def put_instances(self, series_pkey: int, imageset_pkey: int, instances: list[InstanceDocument]) -> None:
        """Rows for the instances that our image set gives, and their frames."""
        wanted = {one.instance_uid: one for one in instances}
        query = select(_INSTANCE.c.instance_pkey, _INSTANCE.c.sopinstanceuid, _INSTANCE.c.series_pkey)
        rows = self.connection.execute(query.where(_INSTANCE.c.sopinstanceuid.in_(list(wanted)))).all()
        for row in rows:
            if row.series_pkey != series_pkey and not self.own.is_primary:
                del wanted[row.sopinstanceuid]
        replaced = [row.instance_pkey for row in rows if row.sopinstanceuid in wanted]
        self.connection.execute(delete(_INSTANCE).where(_INSTANCE.c.instance_pkey.in_(replaced)))
        if not wanted:
            return
        owner = {"series_pkey": series_pkey, "imageset_pkey": imageset_pkey}
        new = [{**owner, **aws_instance_row(one)} for one in wanted.values()]
        self.connection.execute(insert(_INSTANCE), new)
        rows = self.connection.execute(query.where(_INSTANCE.c.sopinstanceuid.in_(list(wanted)))).all()
        keys = {row.sopinstanceuid: row.instance_pkey for row in rows}
        frames: dict[str, Row] = {}
        for uid, one in wanted.items():
            for frame in frame_rows(one):
                del frame["checksum"]
                frames[frame["frameid"]] = {
                    **frame,
                    "instance_pkey": keys[uid],
                    "imageset_pkey": imageset_pkey,
                }
        self._put_frames(frames)

    def _put_frames(self, frames: dict[str, Row]) -> None:
        for ids in portions(frames):
            self.connection.execute(delete(_FRAME).where(_FRAME.c.frameid.in_(ids)))
        for rows in portions(frames.values(), FRAME_PORTION):
            self.connection.execute(insert(_FRAME), rows)

    def _put_patient(self, document: ImageSetDocument) -> int:
        name = text(document.patient, "IssuerOfPatientID") or aws.DEFAULT_ISSUER
        name = name[: aws.TEXT_LENGTH]
        issuer = aws.issuer
        issuer_pkey = self._one(select(issuer.c.issuer_pkey).where(issuer.c.issuerofpatientid == name))
        if issuer_pkey is None:
            issuer_pkey = insert_row(self.connection, issuer, {"issuerofpatientid": name})
        values = columns(aws.patient, PATIENT_KEYWORDS, document.patient)
        values["patientid"] = values["patientid"] or aws.NO_PATIENT_ID
        values["issuer_pkey"] = issuer_pkey
        identity = {"patientid": values["patientid"], "issuer_pkey": issuer_pkey}
        return self._put(
            aws.patient, self._one(select(aws.patient.c.patient_pkey).filter_by(**identity)), values
        )

    def _note_conflict(self, series_pkey: int, imageset_pkey: int) -> None:
        values = {"series_pkey": series_pkey, "imageset_pkey": imageset_pkey}
        noted = select(aws.conflict.c.conflict_pkey).filter_by(**values)
        if self._one(noted) is None:
            insert_row(self.connection, aws.conflict, {**values, "priority": 1, "conflict_type": None})

    def _put(self, table: Table, key: int | None, values: Row) -> int:
        if key is None:
            return insert_row(self.connection, table, values)
        primary = table.c[f"{table.name}_pkey"]
        self.connection.execute(update(table).where(primary == key).values(values))
        return key

    def _one(self, query: Select[Any]) -> int | None:
        key: int | None = self.connection.execute(query).scalar()
        return key


def forget_instances(connection: Connection, datastore_id: str, image_set_id: str) -> None:
    """Remove the AWS rows of all instances that an image set gave; their frames go with them."""
    keys = select(aws.imageset.c.imageset_pkey).filter_by(datastoreid=datastore_id, imagesetid=image_set_id)
    key = connection.execute(keys).scalars().first()
    if key is not None:
        connection.execute(delete(_INSTANCE).where(_INSTANCE.c.imageset_pkey == key))


def forget_image_set(connection: Connection, datastore_id: str, image_set_id: str) -> None:
    """Remove the AWS rows of an image set, its conflicts and its instances."""
    forget_instances(connection, datastore_id, image_set_id)
    table = aws.imageset
    query = select(table.c.imageset_pkey).filter_by(datastoreid=datastore_id, imagesetid=image_set_id)
    for key in connection.execute(query).scalars().all():
        connection.execute(delete(aws.conflict).where(aws.conflict.c.imageset_pkey == key))
        connection.execute(delete(table).where(table.c.imageset_pkey == key))


def forget_unknown(connection: Connection, datastore_id: str, image_set_id: str) -> None:
    """Remove the rows of an image set that only the AWS Lambda knows, and a series, study and patient with
    nothing left."""
    sets, series, study = aws.imageset, aws.series, aws.study
    query = (
        select(series.c.series_pkey, study.c.study_pkey, study.c.patient_pkey)
        .join(study, study.c.study_pkey == series.c.study_pkey)
        .join(sets, sets.c.series_pkey == series.c.series_pkey)
        .where(sets.c.datastoreid == datastore_id, sets.c.imagesetid == image_set_id)
    )
    found = connection.execute(query).first()
    forget_image_set(connection, datastore_id, image_set_id)
    if found is None:
        return
    _drop_series(connection, found.series_pkey)
    others = exists().where(series.c.study_pkey == found.study_pkey)
    gone = connection.execute(delete(study).where(study.c.study_pkey == found.study_pkey, ~others))
    if gone.rowcount:
        _drop_patient(connection, found.patient_pkey)
    else:
        _count_again(connection, found.study_pkey)


def settle(connection: Connection, study_uid: str, numbers: dict[str, int]) -> None:
    """Write the counts of a study and its series, and remove what no image set describes any more.

    `numbers`: instances by series UID, for every series of the study.
    """
    study, series = aws.study, aws.series
    known = connection.execute(
        select(study.c.study_pkey, study.c.patient_pkey).where(study.c.studyinstanceuid == study_uid)
    ).first()
    if known is None:
        return
    rows = connection.execute(
        select(
            series.c.series_pkey, series.c.seriesinstanceuid, series.c.numberofseriesrelatedinstances
        ).where(series.c.study_pkey == known.study_pkey)
    ).all()
    others = []
    for key, uid, number in rows:
        if uid not in numbers:
            others += [] if _drop_series(connection, key) else [key]
        elif number != numbers[uid]:
            values = {"numberofseriesrelatedinstances": numbers[uid]}
            connection.execute(update(series).where(series.c.series_pkey == key).values(values))
    if numbers:
        beside = select(func.count()).where(_INSTANCE.c.series_pkey.in_(others))
        values = {
            "numberofstudyrelatedseries": len(numbers) + len(others),
            "numberofstudyrelatedinstances": sum(numbers.values())
            + (connection.execute(beside).scalar_one() if others else 0),
        }
        connection.execute(update(study).where(study.c.study_pkey == known.study_pkey).values(values))
        return
    if others:
        return
    connection.execute(delete(study).where(study.c.study_pkey == known.study_pkey))
    _drop_patient(connection, known.patient_pkey)


def _count_again(connection: Connection, study_pkey: int) -> None:
    """Write the counts of a study and its series by what the AWS tables hold, as the AWS Lambda does."""
    study, series = aws.study, aws.series
    of_series = select(func.count()).where(_INSTANCE.c.series_pkey == series.c.series_pkey)
    number = {"numberofseriesrelatedinstances": of_series.correlate(series).scalar_subquery()}
    connection.execute(update(series).where(series.c.study_pkey == study_pkey).values(number))
    below = series.c.study_pkey == study_pkey
    instances = select(func.count()).where(_INSTANCE.c.series_pkey == series.c.series_pkey, below)
    values = {
        "numberofstudyrelatedseries": select(func.count()).where(below).scalar_subquery(),
        "numberofstudyrelatedinstances": instances.scalar_subquery(),
    }
    connection.execute(update(study).where(study.c.study_pkey == study_pkey).values(values))


def _drop_series(connection: Connection, series_pkey: int) -> bool:
    """Remove a series; not one with an image set, which only the AWS Lambda knows as yet."""
    held = exists().where(aws.imageset.c.series_pkey == series_pkey)
    gone = connection.execute(delete(aws.series).where(aws.series.c.series_pkey == series_pkey, ~held))
    return gone.rowcount > 0


def _drop_patient(connection: Connection, patient_pkey: int) -> None:
    """Remove a patient who has no study left."""
    studies = exists().where(aws.study.c.patient_pkey == patient_pkey)
    connection.execute(delete(aws.patient).where(aws.patient.c.patient_pkey == patient_pkey, ~studies))
