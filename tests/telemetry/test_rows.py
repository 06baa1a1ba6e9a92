"""The memory of numbers: entries, notes, owners."""

import os

from dicomweb_gateway.telemetry.rows import NOTE_BYTES, NOTES, ROW_BYTES, Rows


def test_entries_are_found_where_they_were_put() -> None:
    rows = Rows(2)
    assert rows.claim(range(1, 2)) == 1
    places = {key: rows.append(1, key, count) for key, count in (("a", 1), ("ü" * 5, 16), ("", 3))}
    for number, place in enumerate(places.values()):
        assert place is not None
        rows.cells[place] = number + 0.5
    assert {entry.key: (rows.cells[entry.first], entry.cells) for entry in rows.entries(1)} == {
        "a": (0.5, 1),
        "ü" * 5: (1.5, 16),
        "": (2.5, 3),
    }
    assert list(rows.entries(0)) == []


def test_a_row_that_is_full_stays_as_it_is() -> None:
    rows = Rows(2)
    put = 0
    while rows.append(0, f"key {put}", 100) is not None:
        put += 1
    assert put * 800 < ROW_BYTES
    assert sum(1 for _ in rows.entries(0)) == put
    assert rows.owner(1) == 0
    assert rows.append(0, "x" * 5000, 1) is None


def test_the_newest_notes_are_kept() -> None:
    rows = Rows(1)
    for number in range(NOTES + 5):
        rows.note(0, b"%d" % number)
    rows.note(0, b"x" * NOTE_BYTES)
    assert sorted(map(int, rows.notes(0))) == list(range(5, NOTES + 5))


def test_owners() -> None:
    rows = Rows(1)
    assert not rows.is_live(0)
    assert rows.claim(range(1)) == 0
    assert rows.owner(0) == os.getpid()
    assert rows.is_live(0)
    pid = os.fork()
    if pid == 0:
        os._exit(3 if rows.claim(range(1)) is None else 4)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
