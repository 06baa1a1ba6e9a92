"""Storing without a server: what goes upstream, what is refused before, and what the client is told."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from threading import Semaphore

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

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
    UpstreamFailed,
)
from dicomweb_gateway.imagesets.storing import Piece, framing_bytes
from dicomweb_gateway.index import owners as index
from dicomweb_gateway.index.owners import Held
from dicomweb_gateway.sight import EVERYTHING, NOTHING, Grant, Sight
from dicomweb_gateway.stow import store
from dicomweb_gateway.stow.checking import Instance
from dicomweb_gateway.stow.clashes import Claims
from dicomweb_gateway.stow.store import StoreRequest, Storing
from tests.emulator.files import CT, ROOT, ct_slice
from tests.stow.parts import BOUNDARY, framed, part10

STORE = "d" * 32
OTHER = "e" * 32


@dataclass
class Upstream:
    """Takes everything but what is in `refused`; `silent` says nothing."""

    requests: list[list[bytes]] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    silent: bool = False
    failure: Exception | None = None
    takes: int = 99

    def store(self, datastore_id: str, instances: Sequence[Piece], deadline: float) -> list[Outcome]:
        if self.failure is not None:
            raise self.failure
        if len(self.requests) == self.takes:
            raise UpstreamFailed("it is full")
        bodies = []
        for one in instances:
            one.file.seek(one.start)
            bodies.append(one.head + one.file.read(one.length))
        self.requests.append(bodies)
        named = [str(dcmread(BytesIO(body)).SOPInstanceUID) for body in bodies]
        return [Outcome(CT, uid, 0xA700 if uid in self.refused else None) for uid in named if not self.silent]


@dataclass
class Owners:
    """What the data store holds already; instances come from one image set, whose version each store raises.

    `sights` are those that were asked with.
    """

    held_patients: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    held_studies: dict[str, set[str]] = field(default_factory=dict)
    held_instances: dict[str, set[Held]] = field(default_factory=dict)
    hidden_series: set[tuple[str, str, str]] = field(default_factory=set)
    unread_studies: set[str] = field(default_factory=set)
    sights: list[Sight] = field(default_factory=list)
    version: int = 1
    apart: int = 1
    lost: set[str] = field(default_factory=set)

    def patients(self, datastore_id, study_uids, sight=EVERYTHING):
        return {uid: set(found) for uid, found in self.held_patients.items() if uid in study_uids}

    def studies(self, datastore_id, series_uids, sight=EVERYTHING):
        self.sights.append(sight)
        return {uid: set(found) for uid, found in self.held_studies.items() if uid in series_uids}

    def held(self, datastore_id, instance_uids, sight=EVERYTHING):
        self.sights.append(sight)
        return {uid: set(found) for uid, found in self.held_instances.items() if uid in instance_uids}

    def hidden(self, datastore_id, series_uids, sight):
        return {one for one in self.hidden_series if one[1] in series_uids}

    def unread(self, datastore_id, study_uids):
        return self.unread_studies & set(study_uids)

    def given(self, datastore_id, paths, sight=EVERYTHING):
        return {path: index.Place("set", self.version) for path in paths if path[2] not in self.lost}

    def versions(self, datastore_id, study_uids):
        return {(f"{ROOT}.1", f"{ROOT}.1.1"): {"set": self.version, "apart": self.apart}}


class Place:
    """A Storing over the parts above, and what was indexed."""

    def __init__(self) -> None:
        self.upstream, self.owners = Upstream(), Owners()
        self.indexed: list[tuple[str, dict[str, set[str]]]] = []
        self.storing = Storing(
            self.upstream,
            self.owners,
            lambda store, found, _: self.indexed.append((store, dict(found))),
            lambda: [STORE],
        )

    def store(
        self,
        *contents: bytes,
        study: str | None = None,
        sight: Sight = EVERYTHING,
        seen: Sight = EVERYTHING,
        body: bytes = b"",
    ):
        until = time.monotonic() + 60
        request = StoreRequest(BytesIO(body or framed(*contents)), BOUNDARY, study, until, sight, seen)
        return self.storing.store(request)


def grouping(dataset: Dataset) -> index.Grouping:
    names = (*index.STUDY_GROUPING, *index.SERIES_GROUPING)
    return index.grouping_of({name: str(dataset.get(name) or "") for name in names})


@pytest.fixture
def place() -> Place:
    return Place()


def test_what_is_good_goes_upstream_as_it_came(place):
    one, two = part10(ct_slice(1)), part10(ct_slice(2))
    outcomes = place.store(one, b"no DICOM", two)
    assert [outcome.failure is None for outcome in outcomes] == [True, False, True]
    assert place.upstream.requests == [[one, two]]
    assert place.indexed == [(STORE, {f"{ROOT}.1": {f"{ROOT}.1.1.1", f"{ROOT}.1.1.2"}})]


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_what_is_no_file_goes_upstream_as_one(place, syntax):
    dataset = ct_slice(1)
    dataset.file_meta.TransferSyntaxUID = syntax
    whole = part10(dataset)
    bare = whole[144 + int.from_bytes(whole[140:144], "little") :]
    for sent in (bare, whole[132:]):
        (outcome,) = place.store(sent)
        assert outcome.failure is None
        ((stored,),) = place.upstream.requests
        read = dcmread(BytesIO(stored))
        assert read.file_meta.TransferSyntaxUID == syntax
        assert read.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
        assert read == dataset
        assert stored.endswith(sent)
        place.upstream.requests.clear()


@pytest.mark.parametrize("cut", [3, 10, 4000])
def test_nothing_is_stored_of_a_body_that_is_cut(place, cut):
    body = framed(part10(ct_slice(1)), part10(ct_slice(2)))
    with pytest.raises(InvalidRequest):
        place.store(body=body[:-cut])
    assert place.upstream.requests == []


def test_bodies_without_parts_and_with_too_many(place):
    with pytest.raises(InvalidRequest, match="no parts"):
        place.store(body=b"--edge--")
    place.storing = replace(place.storing, most_parts=2)
    with pytest.raises(PayloadTooLarge):
        place.store(b"1", b"2", b"3")
    assert place.upstream.requests == []


def test_requests_are_split_at_what_upstream_takes(place):
    files = [part10(ct_slice(number)) for number in range(1, 6)]
    most = framing_bytes(2) + len(files[0]) + len(files[1])
    place.storing = replace(place.storing, most_bytes=most)
    outcomes = place.store(*files, part10(ct_slice(9, size=128)))
    assert [len(request) for request in place.upstream.requests] == [2, 2, 1]
    assert [one.failure for one in outcomes] == [None] * 5 + [OUT_OF_RESOURCES]


def test_the_same_part_twice_is_one(place):
    one = part10(ct_slice(1))
    outcomes = place.store(one, one, part10(ct_slice(1, InstanceNumber=7)))
    assert [outcome.failure for outcome in outcomes] == [None, None, CLASH]
    assert place.upstream.requests == [[one]]


@pytest.mark.parametrize(
    ("held", "clashes"),
    [
        ({("P-1", "")}, False),
        ({("P-1", "HOSPITAL")}, False),
        ({("P-2", "")}, True),
        ({("P-2", ""), ("P-1", "")}, False),
        ({("", "")}, True),
    ],
)
def test_a_study_stays_with_its_patient(place, held, clashes):
    place.owners.held_patients = {f"{ROOT}.1": held}
    [outcome] = place.store(part10(ct_slice(1)))
    assert outcome.failure == (CLASH if clashes else None)
    assert bool(place.upstream.requests) != clashes


def test_series_and_instances_stay_where_they_are(place):
    place.owners.held_studies = {f"{ROOT}.1.1": {"1.2.3"}}
    assert place.store(part10(ct_slice(1)))[0].failure == CLASH
    place.owners.held_studies = {}
    place.owners.held_instances = {f"{ROOT}.1.1.1": {Held("1.2.3", grouping(ct_slice(1)))}}
    assert place.store(part10(ct_slice(1)))[0].failure == CLASH
    assert place.upstream.requests == []


@pytest.mark.parametrize(
    ("changes", "clashes"),
    [
        ({}, False),
        ({"PatientName": "Other^Name", "StudyDescription": "words"}, False),
        ({"StudyDate": "20200101"}, True),
        ({"AccessionNumber": "A-9"}, True),
        ({"StudyID": "9"}, True),
        ({"SeriesNumber": "9"}, True),
    ],
)
def test_what_is_there_keeps_what_it_is_grouped_by(place, changes, clashes):
    """HealthImaging would file it apart, and go on showing what was there before."""
    held = Held(f"{ROOT}.1.1", grouping(ct_slice(1)))
    place.owners.held_instances = {f"{ROOT}.1.1.1": {held}}
    one, two = place.store(part10(ct_slice(1, **changes)), part10(ct_slice(2, **changes)))
    assert (one.failure, two.failure) == (CLASH if clashes else None, None)
    assert len(one.reason) <= 64


def test_only_what_the_caller_may_retrieve_clashes(place):
    seen = Sight((Grant(None, (("Modality", ("MR",)),)),))
    assert place.store(part10(ct_slice(1)), seen=seen)[0].failure is None
    assert place.owners.sights == [seen, seen]


def test_what_would_be_put_among_hidden_things_is_refused_as_what_is_not_allowed(place):
    place.owners.hidden_series = {(f"{ROOT}.1", f"{ROOT}.1.1", "P-1")}
    outcomes = place.store(part10(ct_slice(1)), part10(ct_slice(1, 2)))
    assert [one.failure for one in outcomes] == [NOT_AUTHORIZED, None]
    place.owners.hidden_series = {(f"{ROOT}.1", f"{ROOT}.1.1", "P-2")}
    assert place.store(part10(ct_slice(1)))[0].failure is None


@pytest.mark.parametrize(
    ("changed", "failure"), [({"apart": 1}, PROCESSING_FAILURE), ({"version": 1}, None), ({}, None)]
)
def test_what_is_stored_but_not_shown_is_no_success(place, changed, failure):
    def index(*_):
        for name, number in changed.items():
            setattr(place.owners, name, getattr(place.owners, name) + number)

    refreshed = []
    place.storing = replace(place.storing, index=index, refresh=lambda _, names: refreshed.append(names))
    [outcome] = place.store(part10(ct_slice(1)))
    assert outcome.failure == failure
    # what seems to be as before may only be listed late
    assert refreshed == ([] if "version" in changed else [{"set"}])
    assert len(outcome.reason) <= 64
    # who may not retrieve it is not told
    assert place.store(part10(ct_slice(1)), seen=NOTHING)[0].failure is None
    place.owners.lost = {f"{ROOT}.1.1.1"}
    assert place.store(part10(ct_slice(1)))[0].failure == PROCESSING_FAILURE


def test_studies_that_the_index_does_not_know_are_looked_for_first(place):
    looked = []
    place.storing = replace(place.storing, catch_up=lambda store, uids: looked.append((store, set(uids))))
    place.owners.held_patients = {f"{ROOT}.1": {("P-1", "")}}
    place.store(part10(ct_slice(1)), part10(ct_slice(1, study=2)))
    assert looked == [(STORE, {f"{ROOT}.2"})]


def test_studies_of_which_the_index_has_not_read_all_are_looked_for_too(place):
    """The rest may be hidden, and in the way."""
    place.owners.held_patients = {f"{ROOT}.1": {("P-1", "")}}
    place.owners.unread_studies = {f"{ROOT}.1", f"{ROOT}.3"}

    def catch_up(store, uids):
        assert (store, set(uids)) == (STORE, {f"{ROOT}.1"})
        place.owners.hidden_series = {(f"{ROOT}.1", f"{ROOT}.1.1", "P-1")}

    place.storing = replace(place.storing, catch_up=catch_up)
    assert place.store(part10(ct_slice(1)))[0].failure == NOT_AUTHORIZED
    assert place.upstream.requests == []


def test_two_patients_cannot_have_one_study_in_one_request(place):
    outcomes = place.store(part10(ct_slice(1)), part10(ct_slice(2, PatientID="P-2")))
    assert [one.failure for one in outcomes] == [None, CLASH]


def test_what_upstream_refuses_or_keeps_silent_of_is_not_stored(place):
    place.upstream.refused = {f"{ROOT}.1.1.2"}
    outcomes = place.store(part10(ct_slice(1)), part10(ct_slice(2)))
    assert [one.failure for one in outcomes] == [None, 0xA700]
    place.upstream.silent, place.indexed = True, []
    assert place.store(part10(ct_slice(1)))[0].failure == PROCESSING_FAILURE
    assert place.indexed == []


def test_only_so_many_store_at_once(place):
    place.storing = replace(place.storing, turns=Semaphore(1))
    assert place.store(part10(ct_slice(1)))[0].failure is None
    with place.storing.turns, pytest.raises(GatewayBusy):
        place.store(part10(ct_slice(1)))
    place.upstream.failure = UpstreamFailed("it is ill")
    with pytest.raises(UpstreamFailed):
        place.store(part10(ct_slice(1)))
    place.upstream.failure = None
    assert place.store(part10(ct_slice(1)))[0].failure is None


def test_a_failing_upstream_comes_through(place):
    place.upstream.failure = UpstreamFailed("it is ill")
    with pytest.raises(UpstreamFailed):
        place.store(part10(ct_slice(1)))


def test_only_what_may_be_stored_is(place):
    sight = Sight((Grant(frozenset((STORE,)), (("Modality", ("MR",)),)),))
    outcomes = place.store(part10(ct_slice(1)), part10(ct_slice(1, 2, Modality="MR")), sight=sight)
    assert [one.failure for one in outcomes] == [NOT_AUTHORIZED, None]


def test_data_stores_that_are_not_allowed_do_not_count(place):
    storing = replace(place.storing, allowed=frozenset((OTHER,)))
    assert storing.target(EVERYTHING) == OTHER
    with pytest.raises(StoringOff):
        storing.target(Sight((Grant(frozenset((STORE,))),)))


@pytest.mark.parametrize(
    ("wanted", "known", "sight", "found"),
    [
        (None, [STORE], EVERYTHING, STORE),
        (None, [STORE, OTHER], EVERYTHING, DataStoreUnclear),
        (None, [], EVERYTHING, DataStoreUnclear),
        (None, [], Sight((Grant(frozenset((OTHER,))),)), OTHER),
        (None, [], Sight((Grant(frozenset((OTHER, STORE))),)), DataStoreUnclear),
        (STORE, [OTHER], EVERYTHING, STORE),
        (STORE, [], Sight((Grant(frozenset((OTHER,))),)), StoringOff),
        (STORE, [], NOTHING, StoringOff),
    ],
)
def test_the_data_store_is_clear_or_it_is_said(place, wanted, known, sight, found):
    storing = replace(place.storing, datastore_id=wanted, data_stores=lambda: known)
    if isinstance(found, str):
        assert storing.target(sight) == found
        return
    with pytest.raises(found):
        storing.target(sight)


@pytest.mark.parametrize(
    "headers",
    ["Content-Type: image/jpeg", "Content-Type: application/dicom\r\nContent-Transfer-Encoding: base64"],
)
def test_parts_of_other_kinds_are_refused(place, headers):
    body = framed(part10(ct_slice(1))).replace(b"Content-Type: application/dicom", headers.encode())
    [outcome] = place.store(body=body)
    assert outcome.failure is not None
    assert place.upstream.requests == []


def test_what_is_stored_before_upstream_fails_is_indexed_and_told(place):
    files = [part10(ct_slice(number)) for number in range(1, 4)]
    place.storing = replace(place.storing, most_bytes=framing_bytes(1) + len(files[0]))
    place.upstream.takes = 1
    outcomes = place.store(*files)
    assert [one.failure for one in outcomes] == [None, PROCESSING_FAILURE, PROCESSING_FAILURE]
    assert outcomes[2].reason == "it is full"
    assert place.indexed == [(STORE, {f"{ROOT}.1": {f"{ROOT}.1.1.1"}})]


def test_little_is_held_of_a_part(place, monkeypatch):
    held: list[Instance] = []

    def claims(owners: Owners, datastore_id: str, instances: Sequence[Instance], *sights: Sight) -> Claims:
        held.extend(instances)
        return Claims(owners, datastore_id, instances, *sights)

    monkeypatch.setattr(store, "Claims", claims)
    place.store(part10(ct_slice(1, InstitutionName="x" * 64)))
    assert [dict(one.traits) for one in held] == [{"PatientID": "P-1"}]
