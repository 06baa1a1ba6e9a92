"""Many instances one after the other; what cannot be produced is left out and remembered (W-10)."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from threading import Lock
from time import monotonic
from typing import TypeVar

from dicomweb_gateway.errors import CorruptFrame, ResourceNotFound, UndecodablePixels, UpstreamNotFound
from dicomweb_gateway.index.records import InstanceRecord
from dicomweb_gateway.wado.archive import Archive
from dicomweb_gateway.wado.body import Lazy, Segment, ready
from dicomweb_gateway.wado.instances import instance_segments

Made = TypeVar("Made")

Maker = Callable[[Archive, InstanceRecord, str], Sequence[Segment]]
"""Makes one instance in the form that its plan names."""

UNPRODUCIBLE = (CorruptFrame, ResourceNotFound, UndecodablePixels, UpstreamNotFound)
"""Errors of one instance that the others do not share."""

_FRAMES_AHEAD = 64
_INSTANCES_AHEAD = 2


@dataclass(frozen=True, slots=True)
class Planned:
    """One instance and the transfer syntax in which it is to go out, or the media type of its picture."""

    record: InstanceRecord
    transfer_syntax_uid: str


@dataclass(frozen=True, slots=True)
class Produced:
    """A planned instance and its Part 10 file or picture."""

    planned: Planned
    segments: Sequence[Segment]


class RecentFailures:
    """Instances that could not be produced in the last `seconds`; at most `capacity` are remembered."""

    def __init__(self, seconds: float = 600, capacity: int = 10_000) -> None:
        self._seconds = seconds
        self._capacity = capacity
        self._until: OrderedDict[tuple[object, str, str], float] = OrderedDict()
        self._lock = Lock()

    def add(self, planned: Planned) -> None:
        """Remember that `planned` failed just now."""
        with self._lock:
            self._until[_key(planned)] = monotonic() + self._seconds
            while len(self._until) > self._capacity:
                self._until.popitem(last=False)

    def __contains__(self, planned: Planned) -> bool:
        with self._lock:
            return self._until.get(_key(planned), 0.0) > monotonic()


def collect(
    archive: Archive, planned: Sequence[Planned], failures: RecentFailures, make: Maker = instance_segments
) -> tuple[Iterator[Produced], list[str]]:
    """The instances in order as `make` makes them, the first one ready, and the UIDs of those left out.

    Left out are instances that failed lately and those that fail here, before the first one that does not.
    A failure later on is remembered and raised: the answer is under way and can only be cut, but the next
    one is complete without that instance. Raises the error of the last instance when none can be produced.
    """
    # all of them failed lately: try again rather than refuse what may be mended
    good = [plan for plan in planned if plan not in failures] or list(planned)
    left_out = [plan.record.instance_uid for plan in planned if plan not in good]
    while True:
        plan, *good = good
        _look_ahead(archive, good)
        try:
            first = Produced(plan, ready(make(archive, plan.record, plan.transfer_syntax_uid)))
            return chain([first], _following(archive, good, failures, make)), left_out
        except UNPRODUCIBLE:
            failures.add(plan)
            left_out.append(plan.record.instance_uid)
            if not good:
                raise


def _following(
    archive: Archive, planned: Sequence[Planned], failures: RecentFailures, make: Maker
) -> Iterator[Produced]:
    for number, plan in enumerate(planned):
        _look_ahead(archive, planned[number + 1 :])
        segments = _noting(plan, failures, partial(make, archive, plan.record, plan.transfer_syntax_uid))
        yield Produced(plan, [_watched(segment, plan, failures) for segment in segments])


def _look_ahead(archive: Archive, following: Sequence[Planned]) -> None:
    """Have the first frames of the next instances fetched while this one goes out."""
    ahead = following[:_INSTANCES_AHEAD]
    archive.frames.prefetch([frame for plan in ahead for frame in plan.record.frames[:_FRAMES_AHEAD]])


def _watched(segment: Segment, plan: Planned, failures: RecentFailures) -> Segment:
    if not isinstance(segment, Lazy):
        return segment
    return Lazy(segment.length, lambda: _noting(plan, failures, segment.produce))


def _noting(plan: Planned, failures: RecentFailures, make: Callable[[], Made]) -> Made:
    try:
        return make()
    except UNPRODUCIBLE:
        failures.add(plan)
        raise


def _key(planned: Planned) -> tuple[object, str, str]:
    record = planned.record
    return record.image_set, record.instance_uid, planned.transfer_syntax_uid
