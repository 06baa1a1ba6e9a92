"""What only the AWS tables know, completed from HealthImaging (healthimaging.md 6.3).

The AWS Lambda's rows lead from UIDs to image sets and no further: instance and frame rows may be missing,
old or another image set's, versions and primary image sets are not noted, and rows outlive their image sets.
So the rows name the image sets, and their metadata documents say the rest.
"""

import copy
from collections.abc import Collection, Iterator

from sqlalchemy import Engine, select

from dicomweb_gateway.errors import UpstreamNotFound
from dicomweb_gateway.imagesets.metadata import ImageSetDocument, SeriesDocument
from dicomweb_gateway.imagesets.store import ImageSetRef
from dicomweb_gateway.imagesets.values import integer, text
from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index import tables as aws
from dicomweb_gateway.index.aws_image_sets import SetRow, identity, image_set_rows, of_series, unknown_sets
from dicomweb_gateway.index.aws_values import whole_number
from dicomweb_gateway.index.chunks import portions
from dicomweb_gateway.index.engine import reading
from dicomweb_gateway.index.gone import GoneSets
from dicomweb_gateway.index.hot import HotMap
from dicomweb_gateway.index.latest_sets import ImageSetSource, LatestSets
from dicomweb_gateway.index.records import InstanceRecord, SeenFrame
from dicomweb_gateway.index.shown import in_stores
from dicomweb_gateway.index.side_reader import OrderedSeries
from dicomweb_gateway.index.traits import shows_document, traits_of_document
from dicomweb_gateway.index.unread import UnreadSets
from dicomweb_gateway.index.whole import Served
from dicomweb_gateway.sight import EVERYTHING, Sight

KEPT_FRAMES = 100_000
"""Frames of whole image sets that are kept for lookups by frame id."""

_STUDY, _SERIES, _SET = aws.study, aws.series, aws.imageset


class AwsReader:
    """Finds what the AWS tables alone know; IndexUnavailable and UpstreamError come through.

    `seconds`: how long a version or a deletion that HealthImaging told of is believed. Image sets of data
    stores outside `sight` are not seen, and never asked for; by attributes it judges what documents hold,
    series by series. What rows say of a study is believed only for who sees all that the index holds
    (`whole.py`); else documents of all image sets that rows name of it say it.
    """

    def __init__(
        self,
        engine: Engine,
        source: ImageSetSource,
        seconds: float,
        gone: GoneSets,
        sight: Sight = EVERYTHING,
    ) -> None:
        self._engine = engine
        self._sight = sight
        self._served = Served(sight)
        self.sets = LatestSets(source, seconds, gone)
        self.unread = UnreadSets(engine, self.sets)
        self._frames: HotMap[dict[str, SeenFrame]] = HotMap(seconds, KEPT_FRAMES, len)

    def seen_by(self, sight: Sight) -> "AwsReader":
        """This reader, which sees no more than `sight` shows; all that is kept is shared."""
        bound = copy.copy(self)
        bound._sight = self._sight.narrowed(sight)
        return bound

    @property
    def sight(self) -> Sight:
        """What this reader sees."""
        return self._sight

    def image_sets(self, study_uid: str, series_uid: str | None = None) -> list[ImageSetRef]:
        """The image sets of a study or series that our side tables do not know, the best first.

        Those that HealthImaging no longer has are left out.
        """
        with reading(self._engine) as connection:
            rows = image_set_rows(connection, study_uid, self._sight.stores)
            refs = unknown_sets(connection, of_series(rows, series_uid))
            rows_tell = self._served.rows_tell(connection, self._sight)
        if rows_tell:
            return [one.ref for one in self.sets.ranked(refs)]
        uids = None if series_uid is None else [series_uid]
        return list(dict.fromkeys(ref for ref, _ in self.documents(study_uid, uids)))

    def instances(
        self, study_uid: str, series_uid: str, instance_uid: str | None = None
    ) -> list[InstanceRecord]:
        """The instances of such image sets, in no order; each once, from the best image set that holds it."""
        records: dict[str, InstanceRecord] = {}
        for ref, series in self.documents(study_uid, [series_uid]):
            for uid in series.raw_instances if instance_uid is None else [instance_uid]:
                if uid not in records and uid in series.raw_instances:
                    records[uid] = _record(ref, series, uid)
            if instance_uid in records:
                break
        return list(records.values())

    def documents(
        self, study_uid: str, series_uids: Collection[str] | None
    ) -> Iterator[tuple[ImageSetRef, SeriesDocument]]:
        """What such image sets hold of series of a study, None for all, the best image set first.

        The same instance may come several times: the first one counts. Documents are read one at a time.
        For a sight that hides something all of the study's are: which series a row names may be what one that
        is hidden made of it.
        """
        with reading(self._engine) as connection:
            rows = image_set_rows(connection, study_uid, self._sight.stores)
            rows_tell = self._served.rows_tell(connection, self._sight)
            holders = _holders(rows, series_uids) if rows_tell else None
            refs = of_series(rows)
            if holders is not None:
                wanted = set().union(*holders.values())
                refs = [ref for ref in refs if identity(ref) in wanted]
            refs = unknown_sets(connection, refs)
        for document, ref in self._read(refs):
            for series in document.series() if document.study_uid == study_uid else ():
                if holders is None:
                    is_asked = series_uids is None or series.series_uid in series_uids
                else:
                    is_asked = identity(ref) in holders.get(series.series_uid, ())
                if is_asked and self._shows(ref, series):
                    yield ref, series

    def _read(self, refs: list[ImageSetRef]) -> Iterator[tuple[ImageSetDocument, ImageSetRef]]:
        """The documents of those that HealthImaging has, the best first."""
        for found in self.sets.ranked(refs):
            try:
                document = self.sets.document(found.ref)
            except UpstreamNotFound:
                continue
            yield document, found.ref

    def study_series(self, study_uid: str) -> dict[OrderedSeries, str | None]:
        """The series of a study that have such image sets, and their modalities."""
        query = (
            select(_SERIES.c.seriesinstanceuid, _SERIES.c.seriesnumber, _SERIES.c.modality)
            .join(_STUDY, _STUDY.c.study_pkey == _SERIES.c.study_pkey)
            .where(_STUDY.c.studyinstanceuid == study_uid)
        )
        with reading(self._engine) as connection:
            rows_tell = self._served.rows_tell(connection, self._sight)
            if rows_tell:
                named = image_set_rows(connection, study_uid, self._sight.stores)
                refs = unknown_sets(connection, of_series(named))
                rows = connection.execute(query).all() if refs else []
        if not rows_tell:
            return self._series_of_documents(study_uid)
        series = {}
        for row in rows:
            number = whole_number(row.seriesnumber)
            order = side.MISSING_LAST if number is None else number
            series[OrderedSeries(order, row.seriesinstanceuid)] = row.modality
        return series

    def _series_of_documents(self, study_uid: str) -> dict[OrderedSeries, str | None]:
        """The same by what documents say, of which the best image set's counts."""
        best: dict[str, SeriesDocument] = {}
        for _, one in self.documents(study_uid, None):
            best.setdefault(one.series_uid, one)
        return {_ordered(one): text(one.tags, "Modality") for one in best.values()}

    def has_pixels(self, study_uid: str, series_uid: str) -> bool:
        """Whether one of the series' instances describes pixels."""
        documents = self.documents(study_uid, [series_uid])
        return any(one.pixels for _, series in documents for one in series.instances())

    def frame(self, datastore_id: str, image_set_id: str, frame_id: str) -> SeenFrame | None:
        """A frame of an image set that has a row, whatever its attributes; None when it is not there.

        Of one that our side tables know they tell: no document is read for it.
        """
        ref = ImageSetRef(datastore_id, image_set_id)
        refs = [ref] if self._rows_of(datastore_id, [image_set_id]) else []
        with reading(self._engine) as connection:
            if not unknown_sets(connection, refs):
                return None
        found = self.sets.find(ref)
        if found is None:
            return None
        return self._frames.get(found.ref, lambda: self._frames_of(found.ref)).get(frame_id)

    def whole_sets(self, datastore_id: str, image_set_ids: Collection[str]) -> set[str]:
        """Those image sets of a data store that have rows and all of whose series are shown."""
        found = self._rows_of(datastore_id, image_set_ids)
        if self._sight.has_wanted:
            found = {one for one in found if self._shows_whole(ImageSetRef(datastore_id, one))}
        return found

    def latest_versions(self, datastore_id: str, image_set_ids: Collection[str]) -> dict[str, str | None]:
        """By their ids the versions of image sets of a data store that HealthImaging has."""
        found = {uid: self.sets.find(ImageSetRef(datastore_id, uid)) for uid in image_set_ids}
        return {uid: one.ref.version_id for uid, one in found.items() if one is not None}

    def _rows_of(self, datastore_id: str, image_set_ids: Collection[str]) -> set[str]:
        found: set[str] = set()
        with reading(self._engine) as connection:
            for ids in portions(image_set_ids):
                query = select(_SET.c.imagesetid).where(_SET.c.imagesetid.in_(ids))
                query = query.where(_SET.c.datastoreid == datastore_id)
                query = query.where(in_stores(_SET.c.datastoreid, self._sight.stores))
                found.update(connection.execute(query).scalars())
        return found

    def _shows_whole(self, ref: ImageSetRef) -> bool:
        found = self.sets.find(ref)
        try:
            return found is not None and shows_document(self._sight, self.sets.document(found.ref))
        except UpstreamNotFound:
            return False

    def _shows(self, ref: ImageSetRef, series: SeriesDocument) -> bool:
        sight = self._sight
        return not sight.has_wanted or sight.shows(ref.datastore_id, traits_of_document(series))

    def _frames_of(self, ref: ImageSetRef) -> dict[str, SeenFrame]:
        try:
            document = self.sets.document(ref)
        except UpstreamNotFound:
            return {}
        found: dict[str, SeenFrame] = {}
        for series in document.series():
            traits = traits_of_document(series)
            wanted = (frame for one in series.instances() for frame in one.wanted_frames())
            found.update((frame.key.frame_id, SeenFrame(frame, traits)) for frame in wanted)
        return found


def _holders(rows: list[SetRow], series_uids: Collection[str] | None) -> dict[str, set[tuple[str, str]]]:
    """The image sets that may hold each of some series, None for all that rows name."""
    uids = {row.series_uid for row in rows} if series_uids is None else series_uids
    return {uid: set(map(identity, of_series(rows, uid))) for uid in uids}


def _ordered(series: SeriesDocument) -> OrderedSeries:
    number = integer(series.tags, "SeriesNumber")
    return OrderedSeries(side.MISSING_LAST if number is None else number, series.series_uid)


def _record(ref: ImageSetRef, series: SeriesDocument, instance_uid: str) -> InstanceRecord:
    one = series.instance(instance_uid)
    return InstanceRecord(
        study_uid=series.image_set.study_uid,
        series_uid=series.series_uid,
        instance_uid=instance_uid,
        sop_class_uid=text(one.tags, "SOPClassUID") or "",
        image_set=ref,
        transfer_syntax_uid=one.transfer_syntax_uid,
        pixels=one.pixels,
        frames=one.wanted_frames(),
        modality=text(series.tags, "Modality"),
        instance_number=integer(one.tags, "InstanceNumber"),
        traits=traits_of_document(series),
    )
