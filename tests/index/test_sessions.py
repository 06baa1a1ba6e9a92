"""Sessions in the database."""

from dataclasses import replace

import pytest
from sqlalchemy import text

from dicomweb_gateway.errors import IndexUnavailable
from dicomweb_gateway.index.sessions import SessionRow, SqlSessions

ROW = SessionRow("a" * 64, "o" * 64, "c", 1000, 1000, 5000)


def test_rows_come_back_until_they_are_removed(engine):
    store = SqlSessions(engine)
    assert store.find(ROW.digest) is None
    store.add(ROW, 0)
    other = replace(ROW, digest="b" * 64, content="x" * 100_000)
    third = replace(ROW, digest="c" * 64, owner="p" * 64)
    store.add(other, 0)
    store.add(third, 0)
    assert (store.find(ROW.digest), store.find(other.digest)) == (ROW, other)
    store.remove(ROW.digest)
    store.remove(ROW.digest)
    assert store.find(ROW.digest) is None
    store.remove_of(ROW.owner)
    assert store.find(other.digest) is None
    assert store.find(third.digest) == third


def test_the_last_sight_never_goes_back_and_brings_nobody_back(engine):
    store = SqlSessions(engine)
    store.add(ROW, 0)
    for seen, expected in ((1200, 1200), (1100, 1200)):
        store.touch(ROW.digest, seen)
        assert store.find(ROW.digest) == replace(ROW, seen_at=expected)
    store.remove(ROW.digest)
    store.touch(ROW.digest, 1300)
    assert store.find(ROW.digest) is None


def test_a_new_session_takes_the_ended_ones_away(engine):
    store = SqlSessions(engine)
    ended = replace(ROW, digest="1" * 64, ends_at=1500)
    unseen = replace(ROW, digest="2" * 64, seen_at=1100)
    alive = replace(ROW, digest="3" * 64, seen_at=1900)
    for row in (ended, unseen, alive):
        store.add(row, 0)
    store.add(replace(ROW, begun_at=2000, seen_at=2000), 1100)
    assert [store.find(row.digest) for row in (ended, unseen, alive)] == [None, None, alive]


def test_who_logs_in_again_and_again_does_not_fill_the_database(engine, monkeypatch):
    monkeypatch.setattr("dicomweb_gateway.index.sessions.MOST_SESSIONS", 3)
    store = SqlSessions(engine)
    other = replace(ROW, digest="f" * 64, owner="p" * 64, seen_at=1)
    store.add(other, 0)
    rows = [replace(ROW, digest=str(number) * 64, seen_at=1000 + number) for number in range(6)]
    for row in rows[:3]:
        store.add(row, 0)
    store.touch(rows[0].digest, 2000)
    for row in rows[3:]:
        store.add(row, 0)
    left = [row.digest[0] for row in rows if store.find(row.digest) is not None]
    assert left == ["0", "4", "5"]
    assert store.find(other.digest) == other


def test_a_database_that_was_not_upgraded_has_no_sessions(engine):
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE gateway_session"))
    store = SqlSessions(engine)
    assert store.find(ROW.digest) is None
    with pytest.raises(IndexUnavailable, match="db upgrade"):
        store.add(ROW, 0)
