"""STOW-RS: checks all parts of a request, passes those that are good to the data store, and has them indexed.

Nothing is stored before every part has been read, so a body that is cut off or malformed stores nothing. What
HealthImaging then says of each instance is what the client is told; one of which it says nothing counts as
failed.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from threading import Semaphore
from typing import BinaryIO, Protocol

from dicomweb_gateway.dicom.multipart import MalformedMultipart, Part, read_parts
from dicomweb_gateway.dicom.spool_space import SpoolSpace
from dicomweb_gateway.dicom.store_response import (
    CLASH,
    NOT_AUTHORIZED,
    OUT_OF_RESOURCES,
    PROCESSING_FAILURE,
    Outcome,
)
from dicomweb_gateway.errors import (
    DataStoreUnclear,
    GatewayBusy,
    InvalidRequest,
    PayloadTooLarge,
    StoringOff,
    UpstreamError,
)
from dicomweb_gateway.imagesets.storing import MOST_BYTES, Piece, framing_bytes
from dicomweb_gateway.sight import EVERYTHING, Sight
from dicomweb_gateway.stow.checking import Instance, RefusedPart, check_part
from dicomweb_gateway.stow.clashes import Claims, Owners
from dicomweb_gateway.stow.newcomers import Newcomers
from dicomweb_gateway.stow.part_checks import check_headers, is_equal
from dicomweb_gateway.stow.showing import Showing

_AT_ONCE = 32
_NOT_SHOWN = "HealthImaging filed it apart, and shows what was there before"


class Upstream(Protocol):
    """Where instances are stored; see `imagesets.storing.DicomStore`."""

    def store(self, datastore_id: str, instances: Sequence[Piece], deadline: float) -> list[Outcome]:
        """What became of them."""
        ...


Index = Callable[[str, Mapping[str, set[str]], float], None]
"""Has the index hold the instances, by their study, of a data store, by a deadline (time.monotonic)."""


CatchUp = Callable[[str, Collection[str]], None]
"""Has the index hold what a data store has of studies that the index does not know."""

Refresh = Callable[[str, Collection[str]], None]
"""Has the index hold image sets of a data store as they are now."""


def _nothing(_store: str, _names: Collection[str]) -> None:
    """For an index that always knows."""


@dataclass(frozen=True, slots=True)
class StoreRequest:
    """What a client sent: a `body` that can seek, and what stands around it."""

    body: BinaryIO
    boundary: str
    study_uid: str | None
    deadline: float
    """On the clock of time.monotonic."""
    sight: Sight = EVERYTHING
    """What the caller may store."""
    seen: Sight = EVERYTHING
    """What the caller may retrieve: nothing else is told of."""


@dataclass(frozen=True, slots=True)
class _Good:
    part: Part
    instance: Instance
    is_seen: bool
    """Whether the caller may retrieve it."""


@dataclass(frozen=True, slots=True)
class Storing:
    """What storing needs. `datastore_id` is where instances go; None: to the only data store that there is.

    `data_stores` gives those of HealthImaging; only those `allowed` count, None: all. A request has at most
    `most_parts` parts; what is unpacked to be checked lies in `space`.
    """

    upstream: Upstream
    owners: Owners
    index: Index
    data_stores: Callable[[], Sequence[str]]
    datastore_id: str | None = None
    allowed: frozenset[str] | None = None
    most_parts: int = 10_000
    most_bytes: int = MOST_BYTES
    newcomers: Newcomers | None = None
    catch_up: CatchUp = _nothing
    refresh: Refresh = _nothing
    space: SpoolSpace = field(default_factory=SpoolSpace)
    turns: Semaphore = field(default_factory=lambda: Semaphore(_AT_ONCE))
    """Requests that are served at once; each keeps a thread for as long as it takes."""

    def target(self, sight: Sight) -> str:
        """The data store that callers with `sight` store into.

        StoringOff for who may store nowhere, DataStoreUnclear where there are several to choose from.
        """
        known = sight.within(self.allowed).stores
        if sight.is_nothing or (known is not None and not known):
            raise StoringOff
        if self.datastore_id is not None:
            if known is not None and self.datastore_id not in known:
                raise StoringOff
            return self.datastore_id
        found = sorted(self.data_stores() if known is None else known)
        if len(found) != 1:
            raise DataStoreUnclear(
                "it is not clear where to store: there is no data store"
                if not found
                else "it is not clear in which of several data stores to store: STORE_DATASTORE_ID says it"
            )
        return found[0]

    def store(self, request: StoreRequest) -> list[Outcome]:
        """What became of each part, in their order; what is stored is in the index when this returns.

        Raises GatewayBusy where too many are stored at once, or checking takes too long; InvalidRequest for a
        body that cannot be read as a whole, PayloadTooLarge for too many parts, and what `target` and
        upstream raise. Then it may be sent again, which stores nothing twice. Where upstream fails after it
        has stored a part of the request, the rest counts as failed.
        """
        if not self.turns.acquire(blocking=False):
            raise GatewayBusy("too many requests store at once")
        try:
            return self._store(request, self.target(request.sight))
        finally:
            self.turns.release()

    def _store(self, request: StoreRequest, datastore_id: str) -> list[Outcome]:
        parts = self._parts(request)
        outcomes: dict[int, Outcome] = {}
        good: dict[int, _Good] = {}
        for number, part in enumerate(parts):
            if time.monotonic() > request.deadline:
                raise GatewayBusy("checking the parts took too long")
            try:
                good[number] = self._checked(request, part, datastore_id)
            except RefusedPart as refused:
                outcomes[number] = _refused(refused)
        studies = {one.instance.study_uid for one in good.values()}
        first: AbstractContextManager[None] = nullcontext()
        if self.newcomers is not None:
            first = self.newcomers.alone_where_new(self.owners, datastore_id, studies, request.deadline)
        with first:
            # by what the caller sees: the time that it takes tells no more than that
            unknown = studies - self.owners.patients(datastore_id, sorted(studies), request.seen).keys()
            unknown |= self.owners.unread(datastore_id, sorted(studies))
            if unknown:
                # what others have stored there is not for the taking only because it is not indexed yet
                self.catch_up(datastore_id, unknown)
            self._drop_clashes(datastore_id, request, good, outcomes)
            showing = self._showing(datastore_id, request, good)
            self._send(datastore_id, request, good, outcomes)
            lost = self._lost(datastore_id, showing) if _has_stored(outcomes) else set()
        for number, one in good.items():
            if one.instance.instance_uid in lost and outcomes[number].failure is None:
                outcomes[number] = replace(outcomes[number], failure=PROCESSING_FAILURE, reason=_NOT_SHOWN)
        return [outcomes[number] for number in range(len(parts))]

    def _lost(self, datastore_id: str, showing: Showing) -> set[str]:
        """UIDs of the instances that are stored but not shown as they were sent."""
        if image_set_ids := showing.as_before():
            self.refresh(datastore_id, image_set_ids)
        return showing.lost()

    def _parts(self, request: StoreRequest) -> list[Part]:
        parts = []
        try:
            for part in read_parts(request.body, request.boundary):
                parts.append(part)
                if len(parts) > self.most_parts:
                    raise PayloadTooLarge(f"a request may have {self.most_parts} parts")
        except MalformedMultipart as error:
            raise InvalidRequest(f"the request is no whole multipart body: {error}") from error
        if not parts:
            raise InvalidRequest("the request has no parts")
        return parts

    def _checked(self, request: StoreRequest, part: Part, datastore_id: str) -> _Good:
        check_headers(part)
        with part.open(request.body) as file:
            found = check_part(file, part.length, request.study_uid, self.space)
        if len(found.head) + part.length + framing_bytes(1) > self.most_bytes:
            names = (found.class_uid, found.instance_uid)
            raise RefusedPart(OUT_OF_RESOURCES, f"it has more than {self.most_bytes} bytes", *names)
        if not request.sight.shows(datastore_id, found.traits):
            raise RefusedPart(NOT_AUTHORIZED, "not allowed", found.class_uid, found.instance_uid)
        return _Good(part, found.kept, request.seen.shows(datastore_id, found.traits))

    def _drop_clashes(
        self, datastore_id: str, request: StoreRequest, good: dict[int, _Good], outcomes: dict[int, Outcome]
    ) -> None:
        """Take out what belongs to somebody else, and second parts of one instance that differ."""
        instances = [one.instance for one in good.values()]
        reach = Sight((*request.seen.grants, *request.sight.grants))
        claims = Claims(self.owners, datastore_id, instances, request.seen, reach)
        first: dict[str, int] = {}
        for number, one in list(good.items()):
            try:
                claims.claim(one.instance)
                known = first.setdefault(one.instance.instance_uid, number)
                if known != number and not is_equal(request.body, good[known].part, one.part):
                    reason = "another part has the same SOP Instance UID"
                    raise RefusedPart(CLASH, reason, one.instance.class_uid, one.instance.instance_uid)
            except RefusedPart as refused:
                outcomes[number] = _refused(refused)
                del good[number]

    def _showing(self, datastore_id: str, request: StoreRequest, good: dict[int, _Good]) -> Showing:
        instances = [one.instance for one in good.values()]
        in_sight = {one.instance.instance_uid for one in good.values() if one.is_seen}
        return Showing(self.owners, datastore_id, instances, in_sight, request.seen)

    def _send(
        self, datastore_id: str, request: StoreRequest, good: dict[int, _Good], outcomes: dict[int, Outcome]
    ) -> None:
        unique = {one.instance.instance_uid: one for one in good.values()}
        told: dict[str, Outcome] = {}
        broken = ""
        for batch in self._batches(list(unique.values())):
            pieces = [
                Piece(request.body, one.part.start, one.part.length, one.instance.head) for one in batch
            ]
            try:
                answer = self.upstream.store(datastore_id, pieces, request.deadline)
            except UpstreamError as error:
                if all(one.failure is not None for one in told.values()):
                    raise
                # what is stored already must be indexed and told of
                broken = str(error)
                break
            told.update((one.instance_uid, one) for one in answer)
        for number, one in good.items():
            outcomes[number] = _told(one.instance, told.get(one.instance.instance_uid), broken)
        stored: dict[str, set[str]] = {}
        for number, one in good.items():
            if outcomes[number].failure is None:
                stored.setdefault(one.instance.study_uid, set()).add(one.instance.instance_uid)
        if stored:
            self.index(datastore_id, stored, request.deadline)

    def _batches(self, instances: Sequence[_Good]) -> list[list[_Good]]:
        """In their order, as many at a time as one request upstream may have."""
        batches: list[list[_Good]] = []
        around, closing = framing_bytes(1) - framing_bytes(0), framing_bytes(0)
        room = 0
        for one in instances:
            needed = len(one.instance.head) + one.part.length + around
            if not batches or needed > room:
                batches.append([])
                room = self.most_bytes - closing
            batches[-1].append(one)
            room -= needed
        return batches


def _has_stored(outcomes: Mapping[int, Outcome]) -> bool:
    return any(one.failure is None for one in outcomes.values())


def _refused(refused: RefusedPart) -> Outcome:
    return Outcome(refused.class_uid, refused.instance_uid, refused.code, refused.reason)


def _told(instance: Instance, told: Outcome | None, broken: str) -> Outcome:
    own = Outcome(
        instance.class_uid,
        instance.instance_uid,
        study_uid=instance.study_uid,
        series_uid=instance.series_uid,
    )
    if told is None:
        return replace(own, failure=PROCESSING_FAILURE, reason=broken or "HealthImaging says nothing of it")
    return replace(own, failure=told.failure, reason=told.reason, warning=told.warning)
