"""Lookups for retrieval: UIDs to image sets, frames and pixel layout, the whole path checked (C-6)."""

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import TypeVar

from sqlalchemy import Connection, Engine, and_, select, update
from sqlalchemy.exc import DBAPIError

from dicomweb_gateway.errors import IndexUnavailable, RequestError, ResourceNotFound
from dicomweb_gateway.imagesets.store import ImageSetRef, WantedFrame
from dicomweb_gateway.index import known_sets, mains, side_reader
from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index.allowed import AllowedStores, is_allowed
from dicomweb_gateway.index.aws_reader import AwsReader, ImageSetSource, aws_totals
from dicomweb_gateway.index.engine import index_errors, is_refusal, lacks_table, reading, writing
from dicomweb_gateway.index.gone import GoneSets
from dicomweb_gateway.index.hot import HotMap
from dicomweb_gateway.index.image_set_rows import is_set
from dicomweb_gateway.index.instance_records import load_outlines, load_records
from dicomweb_gateway.index.neighbours import Neighbours
from dicomweb_gateway.index.records import InstanceOutline, InstanceRecord
from dicomweb_gateway.index.side_reader import below
from dicomweb_gateway.index.tables import imageset
from dicomweb_gateway.index.tombstones import missing

_INSTANCE, _SET = side.gateway_instance, side.gateway_imageset
_DatedSet = tuple[ImageSetRef, datetime | None]
"""An image set and when HealthImaging last changed it."""
Answer = TypeVar("Answer")

HOT_BUDGET = 50_000
"""Instances and frames kept for hot lookups, about 300 bytes each."""

NOT_PICTURES = (
    "SR",
    "PR",
    "SEG",
    "KO",
    "RTSTRUCT",
    "RTPLAN",
    "RTRECORD",
    "RTDOSE",
    "DOC",
    "REG",
    "AU",
    "ECG",
)
"""Modalities that represent a study only when nothing else does (dicomweb.md R-14)."""


class IndexReader:
    """Reads the index; every method raises IndexUnavailable when the database does not answer.

    What was deleted not long ago raises ResourceGone where ResourceNotFound is said below.

    What our side tables hold comes from there. With a `source` also what only the AWS Lambda wrote is
    found, even in a database without our tables: then its image sets are asked of HealthImaging, and
    UpstreamError can be raised. `cache_seconds`: how old the answers of `instance`
    and `image_sets` may be; `latest_seconds`:
    how long the latest version of an image set is believed that only AWS tables know.

    With `allowed`, image sets of other data stores are as unknown ones. An instance that several data stores
    hold comes from the image set that won when it was indexed (Q-52); where that lies in a store that is not
    allowed, the instance is not found, although an allowed one holds it too. Tombstones name no data store:
    ResourceGone may also tell that another data store had an instance once, and nothing else of it.
    """

    def __init__(
        self,
        engine: Engine,
        cache_seconds: float = 10,
        source: ImageSetSource | None = None,
        latest_seconds: float = 60,
        allowed: AllowedStores = None,
    ) -> None:
        self._engine = engine
        self._allowed = allowed
        self._hot: HotMap[InstanceRecord] = HotMap(cache_seconds, HOT_BUDGET, _weight)
        self._sets: HotMap[list[_DatedSet]] = HotMap(cache_seconds, HOT_BUDGET, len)
        # keeps nothing: whoever looks in a series while it is read waits for that
        self._leafed: HotMap[list[InstanceRecord]] = HotMap(0, HOT_BUDGET, len)
        self._neighbours = Neighbours(cache_seconds)
        self._gone = GoneSets()
        self._aws = None if source is None else AwsReader(engine, source, latest_seconds, self._gone, allowed)

    def instance(self, study_uid: str, series_uid: str, instance_uid: str) -> InstanceRecord:
        """One instance; ResourceNotFound when it does not exist there or HealthImaging lost it."""
        path = (study_uid, series_uid, instance_uid)
        return self._hot.get(path, lambda: self._load_among_others(*path))

    def series_instances(self, study_uid: str, series_uid: str) -> list[InstanceRecord]:
        """All instances of a series by InstanceNumber, missing last, then UID; ResourceNotFound if none."""
        records = self._series_records(study_uid, series_uid)
        if not records:
            raise self._missing(study_uid, series_uid)
        # whoever reads a series asks for its instances next, one by one
        self._hot.add({(study_uid, series_uid, record.instance_uid): record for record in records})
        return records

    def study_instances(self, study_uid: str) -> Iterator[InstanceRecord]:
        """All instances of a study, series by SeriesNumber, missing last, then UID.

        ResourceNotFound, at once, when there are none. One series is held in memory at a time and no
        connection is kept between two of them, so a slow reader blocks nothing.
        """
        series_uids = self.study_series(study_uid)
        return (record for uid in series_uids for record in self._series_records(study_uid, uid))

    def outlines(self, study_uid: str, series_uid: str | None = None) -> Iterator[InstanceOutline]:
        """What metadata need of `series_instances`, or without a series of `study_instances`.

        In the same order, held in memory and failing as there.
        """
        if series_uid is None:
            series_uids = self.study_series(study_uid)
            return (one for uid in series_uids for one in self._series_outlines(study_uid, uid))
        found = self._series_outlines(study_uid, series_uid)
        if not found:
            raise self._missing(study_uid, series_uid)
        return iter(found)

    def study_series(self, study_uid: str) -> list[str]:
        """UIDs of the series that have instances, in that order; ResourceNotFound when there are none."""
        found = set(self._side(lambda one: side_reader.study_series(one, study_uid, self._allowed)) or ())
        known = {one.series_uid for one in found}
        if self._aws is not None:
            found |= {one for one in self._aws.study_series(study_uid) if one.series_uid not in known}
        if not found:
            raise self._missing(study_uid)
        return [one.series_uid for one in sorted(found)]

    def image_sets(self, study_uid: str, series_uid: str | None = None) -> list[ImageSetRef]:
        """The image sets that give the instances of a study or series; ResourceNotFound if none."""
        return [ref for ref, _ in self._dated_sets(study_uid, series_uid)]

    def last_change(self, study_uid: str, series_uid: str | None = None) -> datetime | None:
        """When HealthImaging last changed an image set of a study or series: UTC, with zone.

        None where it is not known of all of them; ResourceNotFound if there are none.
        """
        moments = [moment for _, moment in self._dated_sets(study_uid, series_uid)]
        known = [moment for moment in moments if moment is not None]
        return max(known).replace(tzinfo=UTC) if len(known) == len(moments) else None

    def first_series_with_images(self, study_uid: str) -> str:
        """The series to show for a study: the first with pixels and of a picture modality (R-14).

        Falls back to any series with pixels, then to the first series; ResourceNotFound for no study.
        """
        uids = self.study_series(study_uid)
        shown = (
            self._side(lambda one: side_reader.modalities_with_pixels(one, study_uid, self._allowed)) or {}
        )
        candidates = [uid for uid in uids if uid in shown]
        pictures = [uid for uid in candidates if is_picture(shown[uid] or "")]
        if pictures or self._aws is None:
            return (pictures or candidates or uids)[0]
        found = self._aws.study_series(study_uid)
        ranked = sorted(found, key=lambda one: (not is_picture(found[one] or ""), one))
        with_pixels = (one.series_uid for one in ranked if self._aws.has_pixels(study_uid, one.series_uid))
        return next(with_pixels, (candidates or uids)[0])

    def image_set_of_frame(self, datastore_id: str, image_set_id: str, frame_id: str) -> WantedFrame | None:
        """What the index knows of a frame, None when it does not know it in that image set."""
        path = (datastore_id, image_set_id, frame_id)
        found = self._side(lambda connection: side_reader.frame(connection, *path, self._allowed))
        return self._aws.frame(*path) if found is None and self._aws is not None else found

    def image_set_shown(self, datastore_id: str, image_set_id: str) -> ImageSetRef:
        """The image set at its indexed version, None where only AWS tables know it; or ResourceNotFound."""
        found = self.image_sets_shown(datastore_id, [image_set_id]).get(image_set_id)
        if found is None:
            raise ResourceNotFound("the index knows no such image set in this data store")
        return found

    def image_sets_shown(
        self, datastore_id: str, image_set_ids: Collection[str]
    ) -> Mapping[str, ImageSetRef]:
        """Those of the image sets of a data store that may be seen, by their ids."""
        path = (datastore_id, image_set_ids, self._allowed)
        found = self._side(lambda connection: known_sets.side_sets(connection, *path)) or {}
        if self._aws is not None and len(found) < len(image_set_ids):
            with reading(self._engine) as connection:
                found = {**known_sets.lambda_sets(connection, *path), **found}
        return {name: ref for name, ref in found.items() if ref not in self._gone}

    def has_store(self, datastore_id: str) -> bool:
        """Whether the data store is allowed and the index holds something of it."""
        if not is_allowed(datastore_id, self._allowed):
            return False
        if self._side(lambda connection: known_sets.side_has_store(connection, datastore_id)):
            return True
        if self._aws is None:
            return False
        with reading(self._engine) as connection:
            return known_sets.lambda_has_store(connection, datastore_id)

    def mark_stale(self, image_set: ImageSetRef) -> None:
        """Note that HealthImaging no longer has an image set: its instances are 404 from now on.

        They stay in searches until the next synchronisation removes them or indexes them again. Where the
        index may not be written, this process remembers it for a minute.
        """
        condition = is_set(image_set.datastore_id, image_set.image_set_id)
        with index_errors():
            try:
                with writing(self._engine) as connection:
                    connection.execute(update(_SET).where(condition).values(state=side.STALE))
            except DBAPIError as error:
                if not (is_refusal(error) or lacks_table(error)):
                    raise
                self._gone.add(image_set)
        self._hot.clear()
        self._sets.clear()

    def ping(self) -> None:
        """IndexUnavailable unless the database answers and has our tables or, with a source, AWS's."""
        if self._aws is not None:
            with reading(self._engine) as connection:
                connection.execute(select(imageset.c.imageset_pkey).limit(1)).all()
            return
        with reading(self._engine) as connection:
            connection.execute(select(_SET.c.imageset_key).limit(1)).all()

    def counts(self) -> dict[str, int]:
        """Numbers of `studies`, `series` and `instances`, by the AWS tables where ours do not exist.

        Those of all data stores are counted.
        """
        found = self._side(mains.totals)
        if found is None:
            with reading(self._engine) as connection:
                return aws_totals(connection)
        return found

    def _load_among_others(self, study_uid: str, series_uid: str, instance_uid: str) -> InstanceRecord:
        """One instance, with all others when the series is leafed through: that costs no more than a few."""
        series = (study_uid, series_uid)
        if self._neighbours.looked_up(series):
            records = self._leafed.get(series, lambda: self._side_records(*series))
            self._neighbours.learned(series, sum(map(_weight, records)))
            self._hot.add({(*series, record.instance_uid): record for record in records})
            for record in records:
                if record.instance_uid == instance_uid:
                    return record
        return self._load_instance(study_uid, series_uid, instance_uid)

    def _load_instance(self, study_uid: str, series_uid: str, instance_uid: str) -> InstanceRecord:
        path = and_(_INSTANCE.c.instance_uid == instance_uid, below(study_uid, series_uid))
        records = self._side(lambda one: self._there(load_records(one, self._allowed, path))) or []
        if not records and self._aws is not None:
            records = self._aws.instances(study_uid, series_uid, instance_uid)
        if not records:
            raise self._missing(study_uid, series_uid, instance_uid)
        return records[0]

    def _dated_sets(self, study_uid: str, series_uid: str | None) -> list[_DatedSet]:
        path = (study_uid, series_uid)
        return self._sets.get(path, lambda: self._load_sets(*path))

    def _load_sets(self, study_uid: str, series_uid: str | None) -> list[_DatedSet]:
        found = self._side(lambda one: side_reader.image_sets(one, study_uid, series_uid, self._allowed))
        sets = [one for one in found or () if one[0] not in self._gone]
        if self._aws is not None:
            sets += [(ref, None) for ref in self._aws.image_sets(study_uid, series_uid)]
        if not sets:
            raise self._missing(study_uid, series_uid)
        return sets

    def _side_records(self, study_uid: str, series_uid: str) -> list[InstanceRecord]:
        path = below(study_uid, series_uid)
        return self._side(lambda one: self._there(load_records(one, self._allowed, path))) or []

    def _series_records(self, study_uid: str, series_uid: str) -> list[InstanceRecord]:
        records = self._side_records(study_uid, series_uid)
        if self._aws is None:
            return records
        known = {record.instance_uid for record in records}
        more = [one for one in self._aws.instances(study_uid, series_uid) if one.instance_uid not in known]
        return sorted(records + more, key=_order) if more else records

    def _series_outlines(self, study_uid: str, series_uid: str) -> list[InstanceOutline]:
        path = below(study_uid, series_uid)
        found = self._side(lambda one: load_outlines(one, self._allowed, path)) or []
        gone = {ref for ref in {one.image_set for one in found} if ref in self._gone}
        if gone:
            found = [one for one in found if one.image_set not in gone]
        if self._aws is None:
            return found
        known = {one.instance_uid for one in found}
        more = [one for one in self._aws.instances(study_uid, series_uid) if one.instance_uid not in known]
        return [one.outline for one in self._series_records(study_uid, series_uid)] if more else found

    def _missing(
        self, study_uid: str, series_uid: str | None = None, instance_uid: str | None = None
    ) -> RequestError:
        """The error for a path that leads nowhere."""
        path = (study_uid, series_uid, instance_uid)
        named = " of ".join(uid for uid in reversed(path) if uid)
        known = self._side(lambda connection: missing(connection, *path))
        return known or ResourceNotFound(f"the index does not know {named}")

    def _there(self, records: Iterator[InstanceRecord]) -> list[InstanceRecord]:
        return [record for record in records if record.image_set not in self._gone]

    def _side(self, read: Callable[[Connection], Answer]) -> Answer | None:
        """What `read` finds in our side tables; None where there are none and AWS's will do."""
        try:
            with reading(self._engine) as connection:
                return read(connection)
        except IndexUnavailable as error:
            if self._aws is None or not lacks_table(error.__cause__):
                raise
            return None


def _order(record: InstanceRecord) -> tuple[int, str]:
    number = record.instance_number
    return side.MISSING_LAST if number is None else number, record.instance_uid


def is_picture(modality: str) -> bool:
    """Whether instances of `modality` ("" when unknown) are pictures of the patient (R-14)."""
    return modality not in NOT_PICTURES and not modality.startswith("RT")


def _weight(record: InstanceRecord) -> int:
    return 1 + len(record.frames)
