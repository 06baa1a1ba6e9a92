"""Frames fetched before they are asked for: those that follow in viewing order (DESIGN 2)."""

from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock

from dicomweb_gateway.frames.pool import FramePool
from dicomweb_gateway.imagesets.store import FrameKey, WantedFrame
from dicomweb_gateway.index.reader import IndexReader
from dicomweb_gateway.index.records import InstanceRecord

_SERIES_REMEMBERED = 64
_LARGEST_SERIES = 20_000
"""Frames; of a longer series nothing is prefetched beyond the instance that was asked."""


def frame_weight(record: InstanceRecord) -> int:
    """Bytes that a frame of the record may take in memory, 1 MB at least: its size when it is decoded."""
    return max(1 << 20, record.pixels.frame_length if record.pixels else 0)


@dataclass(slots=True)
class _OpenSeries:
    frames: list[WantedFrame]
    places: dict[FrameKey, int]
    asked: list[bool] = field(default_factory=list)


class Prefetcher:
    """Asks the fetchers, behind all demand, for up to `ahead` frames that follow the one just asked.

    Of large frames only so many as weigh `ahead_bytes` together, but one at least.
    Each frame of a series is named once a process; fetchers join what several processes name.
    """

    def __init__(
        self, index: IndexReader, pool: FramePool, ahead: int = 64, ahead_bytes: int = 64 << 20
    ) -> None:
        self._index = index
        self._pool = pool
        self._ahead = ahead
        self._ahead_bytes = ahead_bytes
        self._open: OrderedDict[str, _OpenSeries] = OrderedDict()
        self._lock = Lock()

    def asked(self, record: InstanceRecord, wanted: WantedFrame) -> None:
        """Frame `wanted` of `record` was asked for; returns at once apart from one index query a series."""
        series = self._series(record)
        place = series.places.get(wanted.key)
        if place is None:
            return
        ahead = max(1, min(self._ahead, self._ahead_bytes // frame_weight(record)))
        with self._lock:
            last = min(len(series.frames), place + 1 + ahead)
            following = [number for number in range(place + 1, last) if not series.asked[number]]
            # half of the window must be new, so that a scrolling viewer causes few, larger requests
            if len(following) < min(max(1, ahead // 2), last - place - 1):
                return
            for number in (place, *following):
                series.asked[number] = True
        self._pool.prefetch([series.frames[number] for number in following])

    def _series(self, record: InstanceRecord) -> _OpenSeries:
        with self._lock:
            found = self._open.get(record.series_uid)
            if found is not None and record.frames and record.frames[0].key in found.places:
                self._open.move_to_end(record.series_uid)
                return found
        frames = self._viewing_order(record)
        places = {frame.key: place for place, frame in enumerate(frames)}
        opened = _OpenSeries(frames, places, [False] * len(frames))
        with self._lock:
            self._open[record.series_uid] = opened
            while len(self._open) > _SERIES_REMEMBERED:
                self._open.popitem(last=False)
        return opened

    def _viewing_order(self, record: InstanceRecord) -> list[WantedFrame]:
        records = self._index.series_instances(record.study_uid, record.series_uid)
        if sum(len(r.frames) for r in records) > _LARGEST_SERIES:
            return list(record.frames[:_LARGEST_SERIES])
        return [frame for r in records for frame in r.frames]
