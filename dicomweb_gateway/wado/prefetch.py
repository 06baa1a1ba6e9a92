"""Frames fetched before they are asked for: those that follow in viewing order (DESIGN 2)."""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock

from dicomweb_gateway.errors import GatewayError
from dicomweb_gateway.frames.pool import FramePool
from dicomweb_gateway.imagesets.store import FrameKey, WantedFrame
from dicomweb_gateway.index.reader import IndexReader
from dicomweb_gateway.index.records import InstanceRecord
from dicomweb_gateway.wado.viewing import ViewingWindow, first_looks

_SERIES_REMEMBERED = 64
_FRAMES_REMEMBERED = 50_000
_LARGEST_SERIES = 20_000
"""Frames; of a longer series nothing is prefetched beyond the instance that was asked."""
_OPENINGS = 8
_SECONDS_PER_OPENING = 2.0
"""So many series may be opened at once, then one each two seconds: who opens more looks at none of them."""

_LOG = logging.getLogger(__name__)


def frame_weight(record: InstanceRecord) -> int:
    """Bytes that a frame of the record may take in memory, 1 MB at least: its size when it is decoded."""
    return max(1 << 20, record.pixels.frame_length if record.pixels else 0)


_Key = tuple[str, str]
"""What tells those who see the same from others, and a series."""


@dataclass(slots=True)
class _OpenSeries:
    """`whole`: its frames are those of all of its instances, not of the one that was asked last alone."""

    frames: list[WantedFrame]
    places: dict[FrameKey, int]
    window: ViewingWindow
    whole: bool


class Prefetcher:
    """Asks the fetchers, behind all demand, for the frames that a viewer of a series will want next.

    At most `ahead` frames at a time, of large ones only so many as weigh `ahead_bytes` together, but one at
    least. Every web process has its own idea of a series, from the requests that came to it; what several
    of them name is fetched once. A series is looked up `in_background`, so no request waits for that.

    It has a series as the index of those who ask has it, of each sight apart: image sets that are hidden from
    them, and what others look at, change nothing of what is fetched. That lies in the frame store, where
    nobody reads a frame that their own index does not name.
    """

    def __init__(
        self,
        pool: FramePool,
        ahead: int = 128,
        ahead_bytes: int = 128 << 20,
        in_background: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        self._pool = pool
        self._ahead = ahead
        self._ahead_bytes = ahead_bytes
        # its thread starts with the first series, long after the fork
        self._in_background = (
            in_background or ThreadPoolExecutor(1, thread_name_prefix="series to prefetch").submit
        )
        self._open: OrderedDict[_Key, _OpenSeries] = OrderedDict()
        self._frames = 0
        self._looked_at: dict[_Key, WantedFrame | None] = {}
        self._openings = float(_OPENINGS)
        self._openings_at = time.monotonic()
        self._lock = Lock()

    def asked(self, index: IndexReader, record: InstanceRecord, wanted: WantedFrame) -> None:
        """Frame `wanted` of `record`, found in `index`, was asked for; returns at once."""
        key = (index.sight.digest, record.series_uid)
        with self._lock:
            series = self._open.get(key)
            place = None if series is None else series.places.get(wanted.key)
            if series is not None and place is None and not series.whole:
                # reading so long a series once more for every instance would take a core
                series = self._remember(key, record, [record], whole=False)
                place = series.places.get(wanted.key)
                if place is None:
                    return
            if series is None or place is None:
                is_looked_up = key in self._looked_at
                self._looked_at[key] = wanted
                named: list[int] = []
            else:
                self._open.move_to_end(key)
                named = series.window.asked(place, time.monotonic())
        if series is not None and place is not None:
            self._name(series, named)
        elif not is_looked_up:
            self._in_background(lambda: self._look_up(index, record.study_uid, record.series_uid, record))

    def opened(self, index: IndexReader, study_uid: str, series_uid: str) -> None:
        """A series of `index` is about to be shown: have its first frames fetched, no more; returns at once.

        A viewer that opens a study asks so for every series in it.
        """
        key = (index.sight.digest, series_uid)
        with self._lock:
            if key in self._open or key in self._looked_at or not self._may_open():
                return
            self._looked_at[key] = None
        self._in_background(lambda: self._look_up(index, study_uid, series_uid))

    def _may_open(self) -> bool:
        now = time.monotonic()
        gained = (now - self._openings_at) / _SECONDS_PER_OPENING
        self._openings = min(_OPENINGS, self._openings + gained)
        self._openings_at = now
        if self._openings < 1:
            return False
        self._openings -= 1
        return True

    def _name(self, series: _OpenSeries, places: Sequence[int]) -> None:
        if places:
            self._pool.prefetch([series.frames[place] for place in places])

    def _look_up(
        self, index: IndexReader, study_uid: str, series_uid: str, asked: InstanceRecord | None = None
    ) -> None:
        """Learn the order of a series; go on from the frame that was asked last meanwhile, else begin it."""
        key = (index.sight.digest, series_uid)
        records = _read(index, study_uid, series_uid)
        with self._lock:
            last = self._looked_at.pop(key)
            if not records:
                return
            series = self._remember(key, asked or records[0], records)
            place = None if last is None else series.places.get(last.key)
            named = [] if place is None else series.window.asked(place, time.monotonic())
        if last is None:
            fitting = max(1, self._ahead_bytes // 16 // frame_weight(records[0]))
            named = first_looks(len(series.frames))[:fitting]
        self._name(series, named)

    def _remember(
        self, key: _Key, record: InstanceRecord, records: Sequence[InstanceRecord], whole: bool = True
    ) -> _OpenSeries:
        frames = [frame for one in records for frame in one.frames]
        if len(frames) > _LARGEST_SERIES:
            frames, whole = list(record.frames[:_LARGEST_SERIES]), False
        places = {frame.key: place for place, frame in enumerate(frames)}
        most = max(1, min(self._ahead, self._ahead_bytes // frame_weight(record)))
        series = _OpenSeries(frames, places, ViewingWindow(len(frames), most), whole)
        self._forget(key)
        self._open[key] = series
        self._frames += len(frames)
        while len(self._open) > _SERIES_REMEMBERED or self._frames > _FRAMES_REMEMBERED:
            self._forget(next(iter(self._open)))
        return series

    def _forget(self, key: _Key) -> None:
        series = self._open.pop(key, None)
        if series is not None:
            self._frames -= len(series.frames)


def _read(index: IndexReader, study_uid: str, series_uid: str) -> Sequence[InstanceRecord]:
    try:
        return index.series_instances(study_uid, series_uid)
    except GatewayError:
        # the request itself tells what is wrong
        return []
    except Exception:
        _LOG.exception("a series could not be looked up to prefetch from it")
        return []
