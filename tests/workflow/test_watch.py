"""Following events: twice, late, out of order, lost, broken off in the middle (healthimaging.md 4.2)."""

import gc
import os
import random
import signal
import threading
import time

import pytest

from dicomweb_gateway.errors import IndexUnavailable, ResourceGone, UpstreamFailed, UpstreamTimeout
from dicomweb_gateway.workflow.watch import Watcher
from tests.routes.archive import STORE, hex_id
from tests.sqs import aws_server, event, queue
from tests.workflow.test_sync import House

__all__ = ["aws_server", "queue"]

# being told to end breaks off whatever the SDK is doing, also between its making a socket and keeping it
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


class Watched(House):
    """A house with a watcher that polls without waiting."""

    def __init__(self, folder, queue, **options):
        super().__init__(folder)
        self.queue = queue
        self.events = queue.reader()
        self.watcher = self.new_watcher(**options)

    def new_watcher(self, **options):
        return Watcher(self.events, self.writer, self.sync, lambda: [STORE], **options)

    def tell(self, name, version=1, kind="Created", **members):
        self.queue.send(event(STORE, hex_id("set", name), version, kind, **members))

    def drain(self):
        """Follow what waits; the number of receives."""
        rounds = 0
        while messages := self.events.receive(wait=0):
            self.watcher.follow(messages)
            rounds += 1
        return rounds

    @property
    def known(self):
        return self.writer.known(STORE)


@pytest.fixture
def house(tmp_path, queue):
    yield Watched(tmp_path, queue)
    # such a socket goes here, not in another test
    gc.collect()


@pytest.mark.parametrize("spelling", ["imageSetId", "imagesetId", ""])
def test_created_updated_deleted(house, spelling):
    one = house.store.put("one")
    house.tell("one", spelling=spelling)
    house.drain()
    assert house.known == {one: 1}
    house.store.put("one", version=2, instances=3)
    house.tell("one", 2, "Updating", spelling=spelling)
    house.drain()
    assert house.known == {one: 1}
    house.tell("one", 2, "Updated", spelling=spelling)
    house.drain()
    assert house.known == {one: 2}
    assert house.writer.counts()["instances"] == 3
    house.tell("one", 2, "Deleted", spelling=spelling)
    house.drain()
    assert house.known == {}
    with pytest.raises(ResourceGone):
        house.reader.instance("1.2", "1.2.1", "1.2.1.1")
    assert house.queue.numbers() == (0, 0)


def test_duplicates_and_old_events_cost_no_read(house):
    one = house.store.put("one", version=10)
    for version in (10, 9, 10, 2):
        house.tell("one", version)
    house.drain()
    assert house.store.read == [(one, "10")]
    house.tell("one", 9)
    house.tell("one", 10)
    house.drain()
    assert house.store.read == [(one, "10")]
    house.tell("one", None)
    house.drain()
    assert len(house.store.read) == 2


def test_an_event_older_than_the_deletion_brings_nothing_back(house):
    house.store.put("one")
    house.tell("one")
    house.drain()
    house.store.sets.clear()
    house.tell("one", 1, "Deleted")
    house.tell("one", 1, "Created")
    house.drain()
    house.tell("one", 1, "Updated")
    house.drain()
    assert house.known == {}
    assert house.queue.numbers() == (0, 0)


def test_one_that_fails_is_noted_and_the_rest_goes_on(house):
    bad = house.store.put("bad", content=UpstreamFailed("broken"))
    good = house.store.put("good", "1.2.2")
    house.tell("bad")
    house.tell("good")
    house.drain()
    assert house.known == {good: 1}
    assert [failure.imagesetid for failure in house.writer.failures()] == [bad]
    assert house.queue.numbers() == (0, 0)
    house.store.put("bad")
    house.watcher.reconcile()
    assert house.known == {bad: 1, good: 1}
    assert house.writer.failures() == []


def test_messages_that_are_no_events_are_left_to_the_dead_letters(house):
    good = house.store.put("good")
    house.queue.send("hello", "{}")
    house.tell("good")
    house.drain()
    assert house.known == {good: 1}
    assert house.queue.numbers() == (0, 2)


def test_other_events_and_other_data_stores_are_dropped(tmp_path, queue):
    house = Watched(tmp_path, queue, only=[STORE])
    one = house.store.put("one")
    queue.send(*(event("e" * 32, one, kind=kind) for kind in ("Created", "Updated", "Deleted")))
    queue.send('{"detail-type": "Import Job Completed"}')
    house.drain()
    assert (house.known, house.store.read) == ({}, [])
    assert queue.numbers() == (0, 0)


def test_nothing_is_deleted_before_it_is_indexed(house):
    house.store.put("one")
    house.store.put("two", "1.2.2")
    house.tell("one")
    house.tell("two")
    house.lose_index_after(1)
    with pytest.raises(IndexUnavailable):
        house.drain()
    assert len(house.known) == 1
    assert house.queue.numbers() == (0, 1)


def test_stopped_in_the_middle_and_caught_up(house):
    """Shuffled, doubled and partly lost events, a kill in the middle; the index ends as the store is."""
    chance = random.Random(4)
    events, expected = [], {}
    for number in range(40):
        name = f"set {number}"
        versions = chance.randint(1, 3)
        found = house.store.put(name, f"1.2.{number + 1}", version=versions)
        told = [event(STORE, found, version) for version in range(1, versions + 1)]
        if number % 10 == 3:
            del house.store.sets[found]
            told.append(event(STORE, found, versions, "Deleted"))
        else:
            expected[found] = versions
        if number % 10 != 7:
            events += [one for one in told for _ in range(chance.randint(1, 2))]
    chance.shuffle(events)
    house.queue.send(*events)
    house.watcher.follow(house.events.receive(wait=0))
    cut = house.events.receive(wait=0)
    for message in cut[:3]:
        house.watcher.follow([message])
    # killed here: what was received and not deleted comes again
    for message in cut[3:]:
        house.queue.client.change_message_visibility(
            QueueUrl=house.queue.url, ReceiptHandle=message.handle, VisibilityTimeout=0
        )
    house.store.read.clear()
    house.watcher = house.new_watcher()
    house.drain()
    lost = {hex_id("set", f"set {number}") for number in range(7, 40, 10)}
    assert house.known == {name: version for name, version in expected.items() if name not in lost}
    house.watcher.reconcile()
    assert house.known == expected
    counts = house.writer.counts()
    assert (counts["series"], counts["instances"]) == (len(expected), 2 * len(expected))
    assert len(house.store.read) == len(set(house.store.read))
    assert house.queue.numbers() == (0, 0)


def test_reconciling_looks_back_at_changes_and_now_and_then_at_everything(house, monkeypatch):
    monkeypatch.setattr("dicomweb_gateway.workflow.watch.FULL_EVERY", 3)
    asked = []
    search = house.store.search
    house.store.search = lambda store, since: asked.append(since is None) or search(store, since)
    for _ in range(4):
        house.watcher.reconcile()
    assert asked == [True, False, False, True]


def run_until(house, done):
    """Run the watcher in this thread as the command does; SIGTERM comes once `done()`."""
    before = signal.signal(signal.SIGTERM, lambda *_: house.watcher.end())
    given_up = time.monotonic() + 60

    def look():
        while not done() and time.monotonic() < given_up:
            threading.Event().wait(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        house.watcher.run()
    finally:
        thread.join()
        signal.signal(signal.SIGTERM, before)
    assert time.monotonic() < given_up


def test_sigterm_ends_the_long_poll(house):
    one = house.store.put("one")
    two = hex_id("set", "two")

    def done():
        if len(house.store.sets) == 1 and house.known == {one: 1}:
            house.store.put("two", "1.2.2")
            house.tell("two")
        return house.known == {one: 1, two: 1}

    began = time.monotonic()
    run_until(house, done)
    assert time.monotonic() - began < 20
    assert house.queue.numbers() == (0, 0)


def test_what_does_not_answer_is_asked_again(house, monkeypatch):
    pauses: list[float] = []
    monkeypatch.setattr("dicomweb_gateway.workflow.watch.time.sleep", pauses.append)
    one = house.store.put("one")
    search, errors = house.store.search, [UpstreamTimeout("late"), IndexUnavailable("gone")]

    def failing(store, since):
        if errors:
            raise errors.pop()
        return search(store, since)

    house.store.search = failing
    run_until(house, lambda: house.known == {one: 1})
    assert pauses[:2] == [1, 2]
