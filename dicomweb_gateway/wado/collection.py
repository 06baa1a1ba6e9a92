"""Many instances one after the other; what cannot be produced is left out and remembered (W-10)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TypeVar

from dicomweb_gateway.errors import (
    CorruptFrame,
    CorruptMetadata,
    ResourceNotFound,
    UndecodablePixels,
    UpstreamNotFound,
)
from dicomweb_gateway.imagesets.store import WantedFrame
from dicomweb_gateway.index.records import InstanceRecord
from dicomweb_gateway.wado.archive import Archive
from dicomweb_gateway.wado.body import Lazy, Segment, ready
from dicomweb_gateway.wado.failures import Planned, RecentFailures
from dicomweb_gateway.wado.instances import instance_segments
from dicomweb_gateway.wado.prefetch import frame_weight

Made = TypeVar("Made")

Maker = Callable[[Archive, InstanceRecord, str], Sequence[Segment]]
"""Makes one instance in the form that its plan names."""

UNPRODUCIBLE = (CorruptFrame, CorruptMetadata, ResourceNotFound, UndecodablePixels, UpstreamNotFound)
"""Errors of one instance that the others do not share."""


@dataclass(frozen=True, slots=True)
class Produced:
    """A planned instance and its Part 10 file or picture."""

    planned: Planned
    segments: Sequence[Segment]


def collect(
    archive: Archive, planned: Sequence[Planned], failures: RecentFailures, make: Maker = instance_segments
) -> tuple[Iterator[Produced], list[str]]:
    """The instances in order as `make` makes them, the first one ready, and the UIDs of those left out.

    Left out are instances that failed lately and those that fail here, before the first one that does not.
    A failure later on is remembered and raised: the answer is under way and can only be cut, but the next
    one is complete without that instance. Raises the error of the last instance when none can be produced.
    """
    bad = failures.recent(planned)
    if len(bad) == len(planned):
        # all of them failed lately: try again rather than refuse what may be mended
        bad = set()
    good = [plan for number, plan in enumerate(planned) if number not in bad]
    left_out = [planned[number].record.instance_uid for number in sorted(bad)]
    ahead = _LookAhead(archive, good)
    for number, plan in enumerate(good):
        ahead.going_out(number)
        try:
            first = Produced(plan, ready(make(archive, plan.record, plan.transfer_syntax_uid)))
            following = _following(archive, good[number + 1 :], number + 1, ahead, failures, make)
            return chain([first], following), left_out
        except UNPRODUCIBLE:
            failures.add(plan)
            left_out.append(plan.record.instance_uid)
            if number == len(good) - 1:
                raise
    return iter(()), left_out


class _LookAhead:
    """Has frames of the following instances fetched while one goes out, each named once.

    What was named and has not gone out yet weighs no more than one window of the archive.
    """

    def __init__(self, archive: Archive, planned: Sequence[Planned]) -> None:
        self._archive = archive
        self._planned = planned
        self._named = 0
        self._weight = 0

    def going_out(self, number: int) -> None:
        """Instance `number` goes out now, those before it are through."""
        if number < self._named:
            self._weight -= self._weight_of(number)
        else:
            self._named = number + 1
        frames: list[WantedFrame] = []
        while self._named < len(self._planned):
            weight = self._weight_of(self._named)
            if self._weight and self._weight + weight > self._archive.window_bytes:
                break
            record = self._planned[self._named].record
            frames += record.frames[: self._archive.ahead_of(record)]
            self._weight += weight
            self._named += 1
        if frames:
            self._archive.frames.prefetch(frames)

    def _weight_of(self, number: int) -> int:
        record = self._planned[number].record
        named = min(len(record.frames), self._archive.ahead_of(record))
        return named * frame_weight(record)


def _following(
    archive: Archive,
    planned: Sequence[Planned],
    first_number: int,
    ahead: _LookAhead,
    failures: RecentFailures,
    make: Maker,
) -> Iterator[Produced]:
    for number, plan in enumerate(planned, first_number):
        ahead.going_out(number)
        segments = _noting(plan, failures, partial(make, archive, plan.record, plan.transfer_syntax_uid))
        yield Produced(plan, [_watched(segment, plan, failures) for segment in segments])


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
