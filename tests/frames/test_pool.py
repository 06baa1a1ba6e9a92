import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from dicomweb_gateway.errors import (
    ClientLeft,
    CorruptFrame,
    FetchersUnavailable,
    UpstreamDenied,
    UpstreamNotFound,
    UpstreamThrottled,
    UpstreamTimeout,
)
from dicomweb_gateway.frames.pool import FramePool
from dicomweb_gateway.frames.store import FrameStore
from dicomweb_gateway.imagesets.metadata import parse_document
from dicomweb_gateway.imagesets.store import WantedFrame
from dicomweb_gateway.patience import request_scope
from tests.frames.conftest import Fetchers, htj2k_frame, key_of, raw_frame, raw_wanted
from tests.frames.upstream import Reply, Upstream, error


def wait_until(true, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "never happened"
        time.sleep(0.02)


def stored_bytes(root: Path) -> int:
    """Bytes of the frames in the store, of which some may go meanwhile."""
    total = 0
    for path in root.glob("??/*"):
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def fetcher_stats(pool: FramePool) -> Counter:
    total: Counter = Counter()
    for stats in pool.stats()["fetchers"]:
        total.update({name: value for name, value in stats.items() if isinstance(value, int)})
    return total


def is_up(pool: FramePool) -> bool:
    """Whether every fetcher answers; on a busy machine a start takes longer than a ping waits."""
    with suppress(FetchersUnavailable):
        pool.ping()
        return True
    return False


def test_a_frame_is_fetched_once_and_then_found(start, upstream):
    payload, wanted = htj2k_frame(1)
    upstream.frames[wanted.key.frame_id] = payload
    fetchers = start()
    pool = fetchers.pool()
    assert [pool.get(wanted).read() for _ in range(3)] == [payload] * 3
    file, offset = pool.get(wanted).open()
    with file:
        assert file.tell() == offset
        assert file.read() == payload
    assert FrameStore(fetchers.root).find(wanted.key).read() == payload
    assert upstream.frame_calls.total() == 1


def test_fifty_askers_in_two_pools_cause_one_call(start, upstream):
    payload, wanted = htj2k_frame(1)
    upstream.frames[wanted.key.frame_id] = payload
    upstream.delay = 0.3
    fetchers = start(2)
    pools = [fetchers.pool(), fetchers.pool()]
    with ThreadPoolExecutor(50) as threads:
        frames = list(threads.map(lambda n: pools[n % 2].get(wanted).read(), range(50)))
    assert frames == [payload] * 50
    assert upstream.frame_calls == {wanted.key.frame_id: 1}


def test_real_frames_pass_their_checksums(start, upstream, ahi_documents):
    folder = ahi_documents / "example"
    asked: dict[WantedFrame, bytes] = {}
    for document in sorted(folder.glob("image-set-*.json")):
        for series in parse_document(document.read_bytes()).series():
            for instance in series.instances():
                for wanted in instance.wanted_frames():
                    (file,) = folder.glob(f"{wanted.key.frame_id}.*")
                    asked[wanted] = file.read_bytes()
    upstream.add_frames((wanted.key.frame_id, payload) for wanted, payload in asked.items())
    assert len(asked) >= 4
    pool = start().pool()
    assert {wanted: pool.get(wanted).read() for wanted in asked} == asked
    assert upstream.frame_calls.total() == len(asked)


def test_many_come_in_the_order_asked(start, upstream):
    numbers = [5, 1, 4, 2, 3, 5, 9, 8]
    upstream.add_frames((key_of(n).frame_id, raw_frame(n)) for n in numbers)
    upstream.delays[key_of(5).frame_id] = 0.3
    pool = start(2).pool()
    frames = [frame.read() for frame in pool.get_many([raw_wanted(n) for n in numbers], window=3)]
    assert frames == [raw_frame(n) for n in numbers]
    assert upstream.frame_calls.total() == len(set(numbers))


def test_what_was_fetched_on_demand_is_known_to_be_bare_or_not(start, upstream):
    bare, wanted = htj2k_frame(7)
    upstream.add_frames([(wanted.key.frame_id, bare), (key_of(1).frame_id, raw_frame(1))])
    pool = start().pool()
    assert [pool.get(one).is_bare for one in (wanted, raw_wanted(1))] == [True, False]
    # found in the store, where nobody has looked into it
    assert not pool.get(wanted).is_bare


def test_a_window_bounds_what_is_under_way(start, upstream):
    upstream.add_frames((key_of(n).frame_id, raw_frame(n)) for n in range(20))
    pool = start().pool()
    many = pool.get_many([raw_wanted(n) for n in range(20)], window=4)
    next(many).read()
    wait_until(lambda: upstream.frame_calls.total() == 4)
    assert fetcher_stats(pool)["fetched"] <= 4
    many.close()
    assert upstream.frame_calls.total() == 4


def test_a_slow_reader_gets_what_left_the_store_meanwhile(start, upstream):
    upstream.add_frames((key_of(n).frame_id, raw_frame(n)) for n in range(2))
    fetchers = start()
    pool = fetchers.pool(timeout=1.5)
    wait_until(lambda: is_up(pool), 30)
    many = pool.get_many([raw_wanted(n) for n in range(2)], window=2)
    assert next(many).read() == raw_frame(0)
    path = FrameStore(fetchers.root).path(raw_wanted(1).key)
    wait_until(lambda: os.path.exists(path))
    time.sleep(1.6)
    os.unlink(path)
    assert next(many).read() == raw_frame(1)


def test_many_frames_of_a_request_wait_no_longer_than_it(start, upstream):
    """Each of them comes in time for itself, all of them do not."""
    upstream.add_frames((key_of(n).frame_id, raw_frame(n)) for n in range(20))
    pool = start().pool()
    assert pool.get(raw_wanted(0)).read() == raw_frame(0)
    upstream.delay = 0.4
    came = []
    with request_scope(time.monotonic() + 2), pytest.raises(UpstreamTimeout):
        came.extend(pool.get_many([raw_wanted(n) for n in range(1, 20)], window=1))
    assert upstream.frame_calls.total() < 10


def test_nothing_is_fetched_for_clients_that_left(start, upstream):
    upstream.add_frames((key_of(n).frame_id, raw_frame(n)) for n in range(4))
    pool = start(fetches_in_flight=1).pool()
    assert pool.get(raw_wanted(0)).read() == raw_frame(0)
    upstream.delay = 0.8

    def ask(number):
        with request_scope(has_left=lambda: True), pytest.raises(ClientLeft):
            pool.get(raw_wanted(number))

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(ask, range(1, 4)))
    time.sleep(1.5)
    # what has begun comes to its end
    assert upstream.frame_calls.total() <= 2


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (error(404, "ResourceNotFoundException"), UpstreamNotFound),
        (error(403, "AccessDeniedException"), UpstreamDenied),
        (error(429, "ThrottlingException", **{"Retry-After": "9"}), UpstreamThrottled),
    ],
    ids=["404", "403", "429"],
)
def test_upstream_errors_reach_the_asker(start, upstream, reply, kind):
    upstream.then(key_of(1).frame_id, reply)
    pool = start().pool()
    with pytest.raises(kind) as caught:
        pool.get(raw_wanted(1))
    assert caught.value.retry_after == (9 if kind is UpstreamThrottled else None)


def wrong(payload: bytes) -> dict[str, bytes]:
    return {
        "another frame": htj2k_frame(99)[0],
        "cut": payload[: len(payload) // 2],
        "no end": payload[:-2],
        "garbage": b"no codestream at all",
        "one byte off": payload[:-40] + bytes([payload[-40] ^ 0xFF]) + payload[-39:],
    }


@pytest.fixture(scope="module")
def steady(tmp_path_factory) -> Iterator[tuple[Fetchers, Upstream]]:
    """One fetcher for the tests that leave it as it was."""
    upstream = Upstream()
    fetchers = Fetchers(tmp_path_factory.mktemp("steady"), upstream.url, 1)
    yield fetchers, upstream
    fetchers.end()
    upstream.close()


NUMBERS = count(1000)


@pytest.fixture
def number() -> int:
    """Of a frame that nobody has asked for."""
    return next(NUMBERS)


@pytest.mark.parametrize("fault", wrong(htj2k_frame(1)[0]))
def test_a_wrong_body_is_fetched_again(steady, number, fault):
    fetchers, upstream = steady
    payload, wanted = htj2k_frame(number)
    upstream.then(wanted.key.frame_id, Reply(wrong(payload)[fault]), Reply(payload))
    assert fetchers.pool().get(wanted).read() == payload
    assert upstream.frame_calls[wanted.key.frame_id] == 2


@pytest.mark.parametrize("fault", ["another frame", "cut", "no end", "garbage"])
def test_a_frame_that_stays_wrong_is_neither_served_nor_stored(steady, number, fault):
    fetchers, upstream = steady
    payload, wanted = htj2k_frame(number)
    upstream.then(wanted.key.frame_id, Reply(wrong(payload)[fault]))
    pool = fetchers.pool()
    before = fetcher_stats(pool)["error CorruptFrame"]
    with pytest.raises(CorruptFrame):
        pool.get(wanted)
    assert upstream.frame_calls[wanted.key.frame_id] == 2
    assert FrameStore(fetchers.root).find(wanted.key) is None
    assert fetcher_stats(pool)["error CorruptFrame"] == before + 1


def test_without_verifying_only_the_shape_is_checked(start, upstream):
    other, _ = htj2k_frame(2)
    payload, wanted = htj2k_frame(1)
    upstream.then(wanted.key.frame_id, Reply(other))
    assert start(verify=False).pool().get(wanted).read() == other != payload


@pytest.mark.parametrize(
    "damage",
    [lambda raw: raw[:-3], lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]), lambda raw: bytes(len(raw))],
    ids=["short", "flipped", "zeros"],
)
@pytest.mark.parametrize("way", ["read", "open"])
def test_a_corrupt_stored_frame_is_fetched_again(steady, number, damage, way):
    fetchers, upstream = steady
    key, wanted, right = key_of(number), raw_wanted(number), raw_frame(number)
    upstream.frames[key.frame_id] = right
    fetchers.pool().get(wanted)
    path = Path(FrameStore(fetchers.root).path(key))
    path.write_bytes(damage(path.read_bytes()))
    frame = fetchers.pool().get(wanted)
    if way == "read":
        assert frame.read() == right
    else:
        file, _ = frame.open()
        with file:
            assert file.read() == right
    assert upstream.frame_calls[key.frame_id] == 2
    assert FrameStore(fetchers.root).find(key).read() == right


def test_a_killed_fetcher_is_replaced_while_requests_go_on(start, upstream):
    total = 120
    upstream.add_frames((key_of(n).frame_id, raw_frame(n)) for n in range(total))
    upstream.delay = 0.05
    fetchers = start(2)
    pool = fetchers.pool()
    watching = fetchers.pool()
    stop = threading.Event()

    wait_until(lambda: is_up(watching), 30)

    def master() -> None:
        number = 0
        while not stop.wait(0.7):
            fetchers.kill(number)
            fetchers.replace(number)
            number = 1 - number
            # on a busy machine a start takes longer than the next kill is away
            while not stop.is_set() and not is_up(watching):
                pass

    playing = threading.Thread(target=master)
    playing.start()
    try:
        with ThreadPoolExecutor(8) as threads:
            frames = list(threads.map(lambda n: pool.get(raw_wanted(n)).read(), range(total)))
    finally:
        stop.set()
        playing.join()
    assert frames == [raw_frame(n) for n in range(total)]


def test_pending_requests_survive_the_death_of_their_fetcher(start, upstream):
    upstream.frames[key_of(1).frame_id] = raw_frame(1)
    upstream.delay = 1.0
    fetchers = start()
    pool = fetchers.pool()
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(lambda: pool.get(raw_wanted(1)).read())
        wait_until(lambda: upstream.frame_calls.total() == 1)
        fetchers.kill(0)
        upstream.delay = 0
        fetchers.replace(0)
        assert asked.result(20) == raw_frame(1)


def test_no_fetcher_is_said_so_and_what_is_stored_is_still_served(start, upstream):
    upstream.frames[key_of(1).frame_id] = raw_frame(1)
    fetchers = start()
    fetchers.pool().get(raw_wanted(1))
    fetchers.kill(0)
    pool = fetchers.pool(timeout=0.5)
    with pytest.raises(FetchersUnavailable):
        pool.get(raw_wanted(2))
    with pytest.raises(FetchersUnavailable, match="0"):
        pool.ping()
    assert pool.get(raw_wanted(1)).read() == raw_frame(1)
    fetchers.replace(0)
    wait_until(lambda: pool.stats()["fetchers"][0] is not None, 20)
    pool.ping()


def test_a_fetcher_that_hangs_does_not_answer_a_ping(start):
    fetchers = start(2)
    pool = fetchers.pool()
    wait_until(lambda: None not in pool.stats()["fetchers"], 20)
    os.kill(fetchers.processes[1].pid, signal.SIGSTOP)
    os.waitid(os.P_PID, fetchers.processes[1].pid, os.WSTOPPED | os.WNOWAIT)
    with pytest.raises(FetchersUnavailable, match="fetcher 1"):
        pool.ping()
    os.kill(fetchers.processes[1].pid, signal.SIGCONT)
    pool.ping()


def test_a_slow_upstream_is_no_missing_fetcher(start, upstream):
    upstream.frames[key_of(1).frame_id] = raw_frame(1)
    upstream.delay = 3
    pool = start().pool(timeout=1.5)
    wait_until(lambda: pool.stats()["fetchers"][0] is not None, 20)
    with pytest.raises(UpstreamTimeout):
        pool.get(raw_wanted(1))


def test_a_store_that_cannot_be_written_serves_inline(start, upstream):
    upstream.frames[key_of(1).frame_id] = raw_frame(1)
    upstream.delay = 0.2
    fetchers = start(min_free_bytes=1 << 60)
    pools = [fetchers.pool(), fetchers.pool()]
    with ThreadPoolExecutor(20) as threads:
        frames = list(threads.map(lambda n: pools[n % 2].get(raw_wanted(1)), range(20)))
    assert {frame.read() for frame in frames} == {raw_frame(1)}
    file, offset = frames[0].open()
    assert (file.read(), offset) == (raw_frame(1), 0)
    assert upstream.frame_calls.total() == 1
    assert FrameStore(fetchers.root).find(key_of(1)) is None
    assert fetcher_stats(pools[0])["unstored"] == 1


def test_prefetched_frames_are_there_when_asked_for(start, upstream):
    upstream.add_frames((key_of(n).frame_id, raw_frame(n)) for n in range(40))
    fetchers = start(2)
    pool = fetchers.pool()
    pool.prefetch([raw_wanted(n) for n in range(40)])
    store = FrameStore(fetchers.root)
    wait_until(lambda: all(store.has(key_of(n)) for n in range(40)), 20)
    assert {pool.get(raw_wanted(n)).read() for n in range(40)} == {raw_frame(n) for n in range(40)}
    assert upstream.frame_calls.total() == 40
    stats = pool.stats()["pool"]
    assert (stats["hits"], stats["prefetch_useful"]) == (40, 40)
    assert fetcher_stats(pool)["prefetched"] == 40


def test_a_slow_prefetch_does_not_delay_a_demand(start, upstream):
    upstream.add_frames((key_of(n).frame_id, raw_frame(n)) for n in range(100))
    upstream.delay = 60
    upstream.delays[key_of(99).frame_id] = 0
    pool = start(fetches_in_flight=4).pool()
    pool.prefetch([raw_wanted(n) for n in range(50)])
    wait_until(lambda: upstream.frame_calls.total() == 3, 20)
    assert pool.get(raw_wanted(99)).read() == raw_frame(99)
    assert upstream.order[3] == key_of(99).frame_id
    assert fetcher_stats(pool)["running"] == 3


def test_a_demand_nobody_waits_for_any_more_is_not_fetched(start, upstream):
    upstream.add_frames((key_of(n).frame_id, raw_frame(n)) for n in range(10))
    upstream.delays.update({key_of(n).frame_id: 1.0 for n in range(2)})
    fetchers = start(fetches_in_flight=2)
    leaving, staying = fetchers.pool(), fetchers.pool()
    with ThreadPoolExecutor(8) as threads:
        busy = [threads.submit(staying.get, raw_wanted(n)) for n in range(2)]
        wait_until(lambda: upstream.frame_calls.total() == 2, 20)
        given_up = [threads.submit(leaving.get, raw_wanted(n)) for n in range(3, 6)]
        wait_until(lambda: fetcher_stats(staying)["demands"] == 3)
        leaving.close()
        for future in given_up:
            with pytest.raises(FetchersUnavailable):
                future.result(10)
        assert [future.result(10).read() for future in busy] == [raw_frame(0), raw_frame(1)]
    assert staying.get(raw_wanted(9)).read() == raw_frame(9)
    assert set(upstream.frame_calls) == {key_of(n).frame_id for n in (0, 1, 9)}


def test_sigterm_ends_what_is_under_way_first(start, upstream):
    upstream.frames[key_of(1).frame_id] = raw_frame(1)
    upstream.delay = 1.0
    fetchers = start()
    pool = fetchers.pool()
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(lambda: pool.get(raw_wanted(1)).read())
        wait_until(lambda: upstream.frame_calls.total() == 1, 20)
        fetchers.processes[0].terminate()
        assert asked.result(10) == raw_frame(1)
    assert fetchers.processes[0].wait(10) == 0
    assert upstream.frame_calls.total() == 1


def test_the_budget_is_kept_while_more_than_it_is_fetched(start, upstream):
    count, budget = 60, 20_000 * 25
    upstream.add_frames((key_of(n).frame_id, raw_frame(n)) for n in range(count))
    fetchers = start(cache_max_bytes=budget)
    pool = fetchers.pool()
    for number in range(count):
        assert pool.get(raw_wanted(number)).read() == raw_frame(number)
    for path in fetchers.root.glob("??/*"):
        with suppress(FileNotFoundError):  # the janitor is at work
            os.utime(path, (time.time() - 600, time.time() - 600))
    upstream.frames[key_of(500).frame_id] = raw_frame(500)
    pool.get(raw_wanted(500))
    wait_until(lambda: stored_bytes(fetchers.root) <= budget, 20)
    assert [pool.get(raw_wanted(n)).read() for n in range(count)] == [raw_frame(n) for n in range(count)]
