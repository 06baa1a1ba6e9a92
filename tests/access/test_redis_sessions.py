"""Sessions and tickets in Redis: what ends them, and what a server that is lost, full or forged does."""

import time
from contextlib import closing
from dataclasses import replace

import pytest
from redis import Redis

from dicomweb_gateway.errors import LoginUnavailable
from dicomweb_gateway.index.sessions import SessionRow
from dicomweb_gateway.index.tickets import TicketRow
from dicomweb_gateway.service.session_stores import redis_stores
from dicomweb_gateway.shared.rest import FAILURES
from tests.access.kept_rows import InRedis
from tests.shared.servers import CacheServer, pretending

ROW = SessionRow("a" * 64, "o" * 64, "c", 1000, 1000, 5000)
TICKET = TicketRow("d" * 64, ROW.digest, ROW.owner, "t", 1000, 1000, 4000)


@pytest.fixture
def place(redis_server):
    made = InRedis(redis_server)
    yield made
    made.close()


@pytest.fixture
def raw(redis_server):
    with closing(Redis(port=redis_server.port, protocol=2)) as made:
        yield made


def test_rows_come_back_until_they_are_removed(place):
    store, elsewhere = place.sessions(), place.sessions()
    other = replace(ROW, digest="b" * 64, content="x" * 100_000)
    third = replace(ROW, digest="c" * 64, owner="p" * 64)
    assert store.find(ROW.digest) is None
    for row in (ROW, other, third):
        store.add(row, 0)
    assert (elsewhere.find(ROW.digest), elsewhere.find(other.digest)) == (ROW, other)
    store.remove(ROW.digest)
    store.remove(ROW.digest)
    assert elsewhere.find(ROW.digest) is None
    store.remove_of(ROW.owner)
    assert elsewhere.find(other.digest) is None
    assert elsewhere.find(third.digest) == third


def test_the_last_sight_never_goes_back_and_brings_nobody_back(place):
    stores = place.stores()
    for store, row in zip(stores, (ROW, TICKET), strict=True):
        store.add(row, 0)
        for seen, expected in ((1200, 1200), (1100, 1200)):
            store.touch(row.digest, seen)
            assert store.find(row.digest) == replace(row, seen_at=expected)
    stores.sessions.remove_of(ROW.owner)
    for store, row in zip(stores, (ROW, TICKET), strict=True):
        store.touch(row.digest, 1300)
        assert store.find(row.digest) is None


def test_a_new_session_takes_those_away_that_nobody_used(place):
    store = place.sessions()
    unseen, alive = (
        replace(ROW, digest=name * 64, seen_at=seen) for name, seen in (("2", 1100), ("3", 1900))
    )
    for row in (unseen, alive):
        store.add(row, 0)
    store.add(replace(ROW, begun_at=2000, seen_at=2000), 1100)
    assert [store.find(row.digest) for row in (unseen, alive)] == [None, alive]


def test_of_too_many_those_stay_that_were_seen_last(place, monkeypatch):
    monkeypatch.setattr("dicomweb_gateway.access.redis_sessions.MOST_SESSIONS", 3)
    store = place.sessions()
    rows = [replace(ROW, digest=str(number) * 64, seen_at=1000 + number) for number in range(6)]
    other = replace(ROW, digest="f" * 64, owner="p" * 64, seen_at=1)
    for row in (other, *rows[:3]):
        store.add(row, 0)
    store.touch(rows[0].digest, 2000)
    for row in rows[3:]:
        store.add(row, 0)
    assert [row.digest[0] for row in rows if store.find(row.digest)] == ["0", "4", "5"]
    assert store.find(other.digest) == other


def test_everything_ends_by_itself_rows_at_their_limit(place, raw):
    stores = place.stores()
    stores.sessions.add(ROW, 0)
    stores.tickets.add(TICKET, 0)
    ends = sorted(raw.ttl(name) for name in raw.scan_iter())
    month = 31 * 86_400
    limits = [3000, 4000, month, month, month]
    assert len(ends) == len(limits)
    assert all(limit - 60 < end <= limit for end, limit in zip(ends, limits, strict=True))


@pytest.mark.parametrize("everywhere", [False, True])
def test_a_logout_in_the_middle_of_giving_a_ticket_comes_before_it(place, monkeypatch, everywhere):
    stores, elsewhere = place.stores(), place.stores().sessions
    stores.sessions.add(ROW, 0)
    end = (lambda: elsewhere.remove_of(ROW.owner)) if everywhere else (lambda: elsewhere.remove(ROW.digest))
    asked = []

    server = stores.tickets._server
    run = server.run_as_one

    def late(fill, watched, holds):
        def held(pipeline):
            asked.append(holds(pipeline))
            end()
            return asked[-1]

        return run(fill, watched, held)

    monkeypatch.setattr(server, "run_as_one", late)
    assert stores.tickets.add(TICKET, 0) is False
    assert asked == [True, False]
    assert stores.tickets.find(TICKET.digest) is None


def test_services_on_one_server_know_nothing_of_each_other(place):
    one, other = place.stores(b"one").sessions, place.stores(b"other").sessions
    one.add(ROW, 0)
    assert other.find(ROW.digest) is None
    other.remove_of(ROW.owner)
    other.remove(ROW.digest)
    assert one.find(ROW.digest) == ROW


def test_what_the_server_loses_or_others_put_there_lets_nobody_in(place, raw):
    store = place.sessions()
    store.add(ROW, 0)
    store.add(replace(ROW, digest="b" * 64, ends_at=9000), 0)
    rows = [name for name in raw.scan_iter() if raw.type(name) == b"string"]
    values = [raw.get(name) for name in rows]
    # swapped, torn, stretched
    for name, wrong in ((rows[0], values[1]), (rows[0], values[0][:-1]), (rows[0], values[0] + b"0")):
        raw.set(name, wrong)
        raw.set(rows[1], values[0])
        assert store.find(ROW.digest) is store.find("b" * 64) is None
    for name, value in zip(rows, values, strict=True):
        raw.set(name, value)
    assert store.find(ROW.digest) == ROW
    for name in raw.scan_iter():
        if raw.type(name) == b"zset":
            raw.delete(name)
    assert store.find(ROW.digest) is store.find("b" * 64) is None


def test_a_full_server_says_so_and_keeps_nothing_of_it(place, raw):
    store = place.sessions()
    store.add(ROW, 0)
    raw.config_set("maxmemory", "1")
    try:
        with pytest.raises(LoginUnavailable, match="OutOfMemory"):
            store.add(replace(ROW, digest="b" * 64), 0)
        assert store.find(ROW.digest) == ROW
        store.remove(ROW.digest)
    finally:
        raw.config_set("maxmemory", "0")
    assert store.find(ROW.digest) is store.find("b" * 64) is None


def test_a_server_that_is_gone_is_told_of_and_left_alone_and_comes_back(caplog):
    server = CacheServer("redis")
    url = f"redis://:hunter2@127.0.0.1:{server.port}/0"
    store = redis_stores(url.replace(":hunter2@", ""), b"s").sessions
    store.add(ROW, 0)
    server.kill()
    calls = (
        lambda: store.find(ROW.digest),
        lambda: store.add(ROW, 0),
        lambda: store.remove(ROW.digest),
        lambda: store.remove_of(ROW.owner),
    )
    assert len(calls) < FAILURES
    for call in calls:
        with pytest.raises(LoginUnavailable, match="SESSION_STORE") as refused:
            call()
        assert "127.0.0.1" not in str(refused.value)
    server.start()
    assert store.find(ROW.digest) is None
    store.add(ROW, 0)
    assert store.find(ROW.digest) == ROW
    server.kill()
    wrong = redis_stores(url, b"s").sessions
    for _ in range(FAILURES):
        with pytest.raises(LoginUnavailable):
            wrong.find(ROW.digest)
    with pytest.raises(LoginUnavailable, match="left alone"):
        wrong.find(ROW.digest)
    assert "hunter2" not in caplog.text
    assert ROW.digest not in caplog.text
    for one in (store, wrong):
        one._server.close()


def test_a_server_that_never_answers_is_not_waited_for_long(monkeypatch):
    monkeypatch.setattr("dicomweb_gateway.shared.redis_keeper._SECONDS", 0.05)
    with pretending(lambda connection: connection.recv(0) or time.sleep(0)) as port:
        store = redis_stores(f"redis://127.0.0.1:{port}", b"s").sessions
        with pytest.raises(LoginUnavailable, match="Timeout"):
            store.find(ROW.digest)
        store._server.close()
