"""Lookups for retrieval: UIDs to image sets, frames and pixel layout, the whole path checked (C-6)."""

import copy
from collections.abc import Iterator
from datetime import UTC, datetime

from sqlalchemy import Engine, update
from sqlalchemy.exc import DBAPIError

from dicomweb_gateway.imagesets.store import ImageSetRef, WantedFrame
from dicomweb_gateway.index import side_reader
from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index.aws_reader import AwsReader
from dicomweb_gateway.index.changes import IndexChanges
from dicomweb_gateway.index.engine import index_errors, is_refusal, lacks_table, writing
from dicomweb_gateway.index.gone import GoneSets
from dicomweb_gateway.index.hot import HotMap
from dicomweb_gateway.index.hot_frames import LARGEST, FramesOfSet, HotFrames, first_seen
from dicomweb_gateway.index.hot_instances import HotInstances, Loaded
from dicomweb_gateway.index.image_set_rows import is_set
from dicomweb_gateway.index.latest_sets import ImageSetSource
from dicomweb_gateway.index.picture_modalities import is_picture
from dicomweb_gateway.index.records import InstanceOutline, InstanceRecord, SeenFrame
from dicomweb_gateway.index.series_reader import Bindings, SeriesReader
from dicomweb_gateway.index.side_reader import below
from dicomweb_gateway.sight import EVERYTHING, Sight

_INSTANCE, _SET = side.gateway_instance, side.gateway_imageset
_DatedSet = tuple[ImageSetRef, datetime | None]
"""An image set and when HealthImaging last changed it."""

HOT_BUDGET = 50_000
"""Instances and frames kept for hot lookups, about 300 bytes each."""


class IndexReader(SeriesReader):
    """Reads the index; every method raises IndexUnavailable when the database does not answer.

    What was deleted not long ago raises ResourceGone where ResourceNotFound is said below.

    What our side tables hold comes from there. With a `source` also what only the AWS Lambda wrote is
    found, even in a database without our tables: then its image sets are asked of HealthImaging, and
    UpstreamError can be raised. `cache_seconds`: how old the answers of `instance`
    and `image_sets` may be; `latest_seconds`:
    how long the latest version of an image set is believed that only AWS tables know.

    What lies outside `sight` is as what never existed: ResourceNotFound, never ResourceGone, since tombstones
    name no data store and no patient. `seen_by` binds a reader to less. An instance that several data stores
    or image sets hold comes from the best of those that are shown (Q-52), where they say other things of
    patient and study; where they say the same, from the one that won when it was indexed. What only the AWS
    Lambda wrote is judged
    by the attributes in its documents. Of our tables, hidden and unknown things cost the same look-ups;
    where documents must be read, those of hidden things may already be at hand.

    What is remembered is forgotten when `changes` tells of some.
    """

    def __init__(
        self,
        engine: Engine,
        cache_seconds: float = 10,
        source: ImageSetSource | None = None,
        latest_seconds: float = 60,
        sight: Sight = EVERYTHING,
        changes: IndexChanges | None = None,
    ) -> None:
        self._changes = changes
        self._hot = HotInstances(cache_seconds, HOT_BUDGET)
        self._sets: HotMap[list[_DatedSet]] = HotMap(cache_seconds, HOT_BUDGET, len)
        self._frames = HotFrames(cache_seconds)
        gone = GoneSets()
        aws = None if source is None else AwsReader(engine, source, latest_seconds, gone, sight)
        super().__init__(engine, aws, sight, gone, Bindings(sight.has_wanted))

    def seen_by(self, sight: Sight) -> "IndexReader":
        """This reader, which sees no more than `sight` shows; cheap, all that is kept is shared."""
        bound = copy.copy(self)
        bound._sight = self._sight.narrowed(sight)
        bound._aws = None if self._aws is None else self._aws.seen_by(sight)
        self._bindings.need_traits |= bound._sight.has_wanted
        return bound

    def instance(self, study_uid: str, series_uid: str, instance_uid: str) -> InstanceRecord:
        """One instance; ResourceNotFound when it does not exist there or HealthImaging lost it."""
        self._catch_up()
        path = (study_uid, series_uid, instance_uid)
        return self._hot.get(
            self._sight,
            path,
            lambda: self._load_instance(*path),
            lambda: self._side_records(study_uid, series_uid),
        )

    def series_instances(self, study_uid: str, series_uid: str) -> list[InstanceRecord]:
        """All instances of a series by InstanceNumber, missing last, then UID; ResourceNotFound if none."""
        epoch = self._hot.epoch
        ours = self._side_records(study_uid, series_uid)
        records = self._completed(ours, study_uid, series_uid)
        if not records:
            raise self._missing(study_uid, series_uid)
        # whoever reads a series asks for its instances next, one by one
        self._hot.add(self._sight, records if self._sight.is_everything else ours, epoch)
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
        found = set(self._side(lambda one: side_reader.study_series(one, study_uid, self._sight)) or ())
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
        shown = self._side(lambda one: side_reader.modalities_with_pixels(one, study_uid, self._sight)) or {}
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
        self._catch_up()
        path = (datastore_id, image_set_id, frame_id)
        return self._frames.get(
            self._sight,
            path,
            lambda: self._load_frames(*path),
            lambda: self._load_frames_of_set(datastore_id, image_set_id),
        )

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
        self._forget()

    def _catch_up(self) -> None:
        """Forget what is remembered when another process has changed the index since."""
        if self._changes is not None and self._bindings.number != (number := self._changes.number):
            self._forget()
            self._bindings.number = number

    def _forget(self) -> None:
        self._hot.clear()
        self._sets.clear()
        self._frames.clear()

    def _load_instance(self, study_uid: str, series_uid: str, instance_uid: str) -> Loaded:
        records = self._records(below(study_uid, series_uid), _INSTANCE.c.instance_uid == instance_uid)
        if records:
            return Loaded(records[0], is_ours=True)
        if self._aws is not None:
            records = self._aws.instances(study_uid, series_uid, instance_uid)
        if not records:
            raise self._missing(study_uid, series_uid, instance_uid)
        return Loaded(records[0], is_ours=False)

    def _load_frames(self, datastore_id: str, image_set_id: str, frame_id: str) -> list[SeenFrame]:
        path = (datastore_id, image_set_id, frame_id)
        found = self._side(lambda connection: side_reader.frames(connection, *path)) or []
        if self._aws is not None and first_seen(self._sight, found) is None:
            # what is hidden costs what is unknown does
            one = self._aws.frame(*path)
            found = found if one is None else [*found, one]
        return found

    def _load_frames_of_set(self, datastore_id: str, image_set_id: str) -> FramesOfSet:
        path, most = (datastore_id, image_set_id), LARGEST + 1
        return self._side(lambda connection: side_reader.frames_of_set(connection, *path, most)) or {}

    def _dated_sets(self, study_uid: str, series_uid: str | None) -> list[_DatedSet]:
        self._catch_up()
        path = (study_uid, series_uid)
        return self._sets.get((self._sight.digest, path), lambda: self._load_sets(*path))

    def _load_sets(self, study_uid: str, series_uid: str | None) -> list[_DatedSet]:
        found = self._side(lambda one: side_reader.image_sets(one, study_uid, series_uid, self._sight))
        sets = [one for one in found or () if one[0] not in self._gone]
        if self._aws is not None:
            sets += [(ref, None) for ref in self._aws.image_sets(study_uid, series_uid)]
        if not sets:
            raise self._missing(study_uid, series_uid)
        return sets
