"""Instances that were looked up lately, for callers of every sight (DESIGN section 2, step 1)."""

from collections.abc import Callable, Hashable, Iterable
from typing import NamedTuple

from dicomweb_gateway.index.hot import HotMap
from dicomweb_gateway.index.neighbours import Neighbours
from dicomweb_gateway.index.records import InstanceRecord, is_seen
from dicomweb_gateway.sight import Sight

InstancePath = tuple[str, str, str]
"""UIDs of a study, a series and an instance."""


class Loaded(NamedTuple):
    """`is_ours`: out of our side tables, where a path leads all callers to the same record or to none, unless
    it is shared (InstanceRecord)."""

    record: InstanceRecord
    is_ours: bool


class HotInstances:
    """Keeps records for `seconds`, at most `budget` instances and frames; any number of threads may ask.

    A record is kept for all callers and judged by its data store and its traits when it is asked for. What
    documents gave, and what is shared, is kept for the sight that read it: another one may be led to another
    image set. Who
    may not see what is kept has it looked up once more, in vain: so hidden and unknown instances cost the
    same look-up, whoever else has asked for them.
    """

    def __init__(self, seconds: float, budget: int) -> None:
        self._kept: HotMap[InstanceRecord] = HotMap(seconds, budget, weight)
        # these keep nothing: whoever asks for what is being read waits for that
        self._read: HotMap[InstanceRecord] = HotMap(0, budget, weight)
        self._leafed: HotMap[list[InstanceRecord]] = HotMap(0, budget, len)
        self._neighbours = Neighbours(seconds)

    def get(
        self,
        sight: Sight,
        path: InstancePath,
        load: Callable[[], Loaded],
        load_series: Callable[[], list[InstanceRecord]],
    ) -> InstanceRecord:
        """The instance at `path`, kept or from one of the two, whose exceptions come through.

        `load_series` gives what our tables hold of the series: when it is leafed through that costs no more
        than a few single instances.
        """
        for key in (path, (sight.digest, path)):
            found = self._kept.peek(key)
            if found is not None and is_seen(sight, found.image_set.datastore_id, found.traits):
                return found
        return self._read.get(
            (sight.digest, path), lambda: self._load_among_others(sight, path, load, load_series)
        )

    @property
    def epoch(self) -> int:
        """How often all was forgotten."""
        return self._kept.epoch

    def add(self, sight: Sight, records: Iterable[InstanceRecord], epoch: int) -> None:
        """Keep records of our tables that `sight` was shown; `epoch` is that of before they were read."""
        self._kept.add({_key(sight, one): one for one in records}, epoch)

    def clear(self) -> None:
        """Forget all of them."""
        self._kept.clear()

    def _load_among_others(
        self,
        sight: Sight,
        path: InstancePath,
        load: Callable[[], Loaded],
        load_series: Callable[[], list[InstanceRecord]],
    ) -> InstanceRecord:
        # by sight, so that what others look up changes nothing of what hidden instances cost
        epoch = self._kept.epoch
        series = (sight.digest, *path[:2])
        if self._neighbours.looked_up(series):
            # who only waits for it has nothing to keep: 32 connections would do that 32 times
            for record in self._leafed.get(series, lambda: self._leaf(sight, series, load_series)):
                if record.instance_uid == path[2]:
                    return record
        found = load()
        is_for_all = found.is_ours or sight.is_everything
        key: Hashable = _key(sight, found.record) if is_for_all else (sight.digest, path)
        self._kept.keep(key, found.record, epoch)
        return found.record

    def _leaf(
        self, sight: Sight, series: Hashable, load_series: Callable[[], list[InstanceRecord]]
    ) -> list[InstanceRecord]:
        epoch = self._kept.epoch
        records = load_series()
        self._neighbours.learned(series, sum(map(weight, records)))
        self.add(sight, records, epoch)
        return records


def _key(sight: Sight, record: InstanceRecord) -> Hashable:
    path = record.study_uid, record.series_uid, record.instance_uid
    return (sight.digest, path) if record.is_shared else path


def weight(record: InstanceRecord) -> int:
    """What a record counts in budgets."""
    return 1 + len(record.frames)
