"""Lines of the audit log are whole, each stands alone, and none is lost to a rotation or a full disk."""

import errno
import json
import os
import signal
import stat
import struct
import threading

import pytest

from dicomweb_gateway.access import audit_log
from dicomweb_gateway.access.audit_events import AuditEvent
from dicomweb_gateway.access.audit_lines import Went
from dicomweb_gateway.access.audit_log import AuditLog
from dicomweb_gateway.access.audit_slots import LONGEST, AuditSlots, left_behind
from dicomweb_gateway.errors import AuditUnavailable


@pytest.fixture
def path(tmp_path):
    return tmp_path / "audit.log"


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(audit_log.time, "monotonic", lambda: now[0])
    return now


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_has_its_time_first_and_the_file_is_its_owners(path):
    AuditLog(path).write({"a": 1})
    (line,) = lines(path)
    assert list(line) == ["time", "a"]
    assert line["time"].endswith("Z")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "value",
    [
        "a\nb",
        "a\r\n{}",
        "\u2028\u2029\x85",
        '"}\n{"user":"root',
        "\x00\x1b[31m",
        "Müller^Jörg",
        "\udcff",
        "😀",
    ],
)
def test_no_value_ends_a_line(path, value):
    AuditLog(path).write({"name": value})
    AuditLog(path).write({"name": "next"})
    assert [line["name"] for line in lines(path)] == [value, "next"]
    assert path.read_bytes().isascii()


@pytest.mark.parametrize("leave_empty", [True, False])
def test_a_rotation_is_followed_at_the_next_line(path, tmp_path, leave_empty):
    log = AuditLog(path)
    log.write({"n": 1})
    path.rename(tmp_path / "audit.log.1")
    if leave_empty:
        path.touch()
    log.write({"n": 2})
    assert [line["n"] for line in lines(tmp_path / "audit.log.1")] == [1]
    assert [line["n"] for line in lines(path)] == [2]


def test_a_truncated_file_is_gone_on_with_from_its_new_end(path):
    log = AuditLog(path)
    log.write({"n": 1})
    os.truncate(path, 0)
    log.write({"n": 2})
    assert [line["n"] for line in lines(path)] == [2]


def test_a_link_in_its_place_is_not_followed(path, tmp_path):
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match=r".*"):
        AuditLog(path).open()
    assert not (tmp_path / "elsewhere").exists()


def test_many_threads_and_rotations_lose_nothing(path, tmp_path):
    log = AuditLog(path)

    def write(number):
        for count in range(200):
            log.write({"n": number * 1000 + count, "text": "x" * 500})

    threads = [threading.Thread(target=write, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for number in range(20):
        if path.exists():
            path.rename(tmp_path / f"rotated.{number}")
    for thread in threads:
        thread.join()
    found = [line["n"] for file in [*tmp_path.glob("rotated.*"), path] for line in lines(file)]
    assert sorted(found) == [number * 1000 + count for number in range(4) for count in range(200)]


class FullDisk:
    """os.write of which only `room` bytes are done."""

    def __init__(self, monkeypatch):
        self.room = None
        self._write = os.write
        monkeypatch.setattr(audit_log.os, "write", self)

    def __call__(self, descriptor, data):
        if self.room is None:
            return self._write(descriptor, data)
        if self.room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        done, self.room = self._write(descriptor, data[: self.room]), 0
        return done


def test_what_a_full_disk_does_not_take_waits(path, clock, monkeypatch, caplog):
    disk = FullDisk(monkeypatch)
    log = AuditLog(path, required=True)
    log.write({"n": 1})
    log.check()
    disk.room = 7
    for number in (2, 3, 4):
        log.write({"n": number})
        clock[0] += 0.1
    assert "No space" in log.trouble or "bytes were written" in log.trouble
    with pytest.raises(AuditUnavailable):
        log.check()
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 1
    disk.room = None
    clock[0] += 2
    log.check()
    assert log.trouble is None
    log.write({"n": 5})
    assert [line["n"] for line in lines(path)] == [1, 2, 3, 4, 5]


def test_a_line_that_was_cut_short_is_not_glued_to_that_of_another_process(path, clock, monkeypatch):
    disk = FullDisk(monkeypatch)
    log, other = AuditLog(path), AuditLog(path)
    log.write({"n": 1})
    disk.room = 7
    log.write({"n": 2})
    disk.room = None
    other.write({"n": 3})
    clock[0] += 2
    log.write({"n": 4})
    assert [line["n"] for line in lines(path)] == [1, 3, 2, 4]


def test_what_another_process_wrote_meanwhile_is_not_cut_off(path, clock, monkeypatch):
    disk = FullDisk(monkeypatch)
    log, other = AuditLog(path), AuditLog(path)
    cut = AuditLog._take_back

    def late(self, written):
        disk.room = None
        other.write({"n": 3})
        cut(self, written)

    monkeypatch.setattr(AuditLog, "_take_back", late)
    log.write({"n": 1})
    disk.room = 7
    log.write({"n": 2})
    clock[0] += 2
    log.write({"n": 4})
    _, glued, *rest = filter(None, path.read_text().splitlines())
    assert glued.endswith('"n":3}')
    assert [json.loads(line)["n"] for line in rest] == [2, 4]


def test_what_waits_is_tried_once_more_at_the_end(path, clock, monkeypatch):
    disk = FullDisk(monkeypatch)
    log = AuditLog(path)
    disk.room = 0
    log.write({"n": 1})
    disk.room = None
    log.close()
    assert [line["n"] for line in lines(path)] == [1]


@pytest.mark.parametrize("value", [2**70, float("nan"), {1}, b"x", {"a": ["\udc80", "ü"]}])
def test_no_value_keeps_a_line_from_being_written(path, value):
    AuditLog(path).write({"value": value, "n": 1})
    assert [line["n"] for line in lines(path)] == [1]
    assert path.read_bytes().isascii()


def test_without_being_required_requests_go_on(path, clock, monkeypatch):
    FullDisk(monkeypatch).room = 0
    log = AuditLog(path)
    log.write({"n": 1})
    log.check()
    assert log.trouble


def test_a_folder_that_is_missing_is_trouble_until_it_is_there(tmp_path, clock):
    path = tmp_path / "later" / "audit.log"
    log = AuditLog(path)
    log.write({"n": 1})
    assert log.trouble
    path.parent.mkdir()
    clock[0] += 2
    assert log.trouble is None
    assert [line["n"] for line in lines(path)] == [1]


def test_what_waits_is_bounded_and_what_is_lost_is_said(path, clock, monkeypatch, caplog):
    monkeypatch.setattr(audit_log, "_MOST_WAITING", 3)
    disk = FullDisk(monkeypatch)
    disk.room = 0
    log = AuditLog(path)
    for number in range(5):
        log.write({"n": number})
    disk.room = None
    clock[0] += 2
    assert log.trouble is None
    assert [line["n"] for line in lines(path)] == [0, 1, 2]
    assert "2 lines were lost" in caplog.text


EVENT = AuditEvent.QUERY


def went(status=200, sent=7):
    return Went(EVENT, 0, status, True, sent, 1.25)


def killed(path, work):
    """A process that does `work` with the log and is killed."""
    pid = os.fork()
    if pid == 0:
        try:
            work(AuditLog(path, slots=AuditSlots.beside(path)))
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def slot_files(path):
    return [one for one in path.parent.iterdir() if one.name.startswith(f".{path.name}.")]


def test_a_line_that_was_begun_says_how_it_ended(path):
    log = AuditLog(path, slots=AuditSlots.beside(path))
    log.end(log.begin("1", EVENT, 200, {"study": "1.2", "ü": "ü"}), went(499))
    (line,) = lines(path)
    assert list(line) == [
        *("time", "id", "event", "event_code", "action", "outcome", "status", "complete", "bytes", "ms"),
        *("study", "ü"),
    ]
    assert (line["status"], line["bytes"], line["ü"]) == (499, 7, "ü")
    assert [stat.S_IMODE(one.stat().st_mode) for one in slot_files(path)] == [0o600]
    log.close()
    assert slot_files(path) == []


def test_what_a_killed_process_had_under_way_is_written_once(path):
    """Also what it had just written when it was killed, and nothing that it had done with."""

    def work(log):
        for number in range(3000):
            log.end(log.begin(f"done-{number}", EVENT, 200, {"n": number}), went())
        log.begin("open", EVENT, 200, {"n": 1, "query": {"PatientName": "Müller"}})
        log.begin("long", EVENT, 404, {"n": 2, "query": {"PatientName": "x" * LONGEST}})
        written = log.begin("written", EVENT, 200, {"n": 3})
        log._slots.free = lambda slot: None
        log.end(written, went())

    killed(path, work)
    killed(path, lambda log: log.begin("other", EVENT, 200, {"n": 4}))
    assert len(slot_files(path)) == 2
    log = AuditLog(path)
    log.take_over()
    found = {line["id"]: line for line in lines(path)}
    assert len(found) == len(lines(path)) == 3004
    assert found["open"].items() >= {"status": 200, "complete": None, "bytes": None, "killed": True}.items()
    assert found["open"]["query"] == {"PatientName": "Müller"}
    assert found["long"].items() >= {"status": 404, "n": 2, "query": "[left out]"}.items()
    assert "killed" not in found["written"]
    assert found["other"]["time"].endswith("Z")
    assert slot_files(path) == []
    log.take_over()
    assert len(lines(path)) == 3004


def test_what_a_living_process_has_under_way_is_its_own(path):
    log = AuditLog(path, slots=AuditSlots.beside(path))
    begun = log.begin("open", EVENT, 200, {"n": 1})
    AuditLog(path).take_over()
    assert not path.exists()
    log.end(begun, went())
    assert [line["id"] for line in lines(path)] == ["open"]


def test_what_cannot_be_taken_over_yet_is_kept(path, clock, monkeypatch):
    killed(path, lambda log: [log.begin(name, EVENT, 200, {"n": 1}) for name in "ab"])
    disk = FullDisk(monkeypatch)
    disk.room = 0
    log = AuditLog(path)
    log.take_over()
    assert len(slot_files(path)) == 1
    disk.room = None
    clock[0] += 2
    log.take_over()
    assert sorted(line["id"] for line in lines(path)) == ["a", "b"]
    assert slot_files(path) == []


def test_what_is_torn_keeps_no_whole_line_out(path):
    """After a loss of power anything may stand in a slot."""
    killed(path, lambda log: [log.begin(name, EVENT, 200, {"n": "\udc80"}) for name in "abcde"])
    (file,) = slot_files(path)
    content = bytearray(file.read_bytes())
    starts = [content.index(b'"id":"' + name) for name in (b"a", b"b", b"c", b"d")]
    content[starts[0] : starts[0] + 9] = bytes(9)
    content[starts[1] + 40] = 0
    content[starts[2] + 40 : starts[2] + 41] = b"\n"
    struct.pack_into("<d", content, starts[3] - 8, float("nan"))
    file.write_bytes(content)
    AuditLog(path).take_over()
    assert [line["id"] for line in lines(path)] == ["e"]
    assert slot_files(path) == []


def test_a_file_that_is_just_being_made_is_left_alone(path):
    fresh = path.parent / f".{path.name}.{'0' * 16}.under-way"
    fresh.touch()
    assert list(left_behind(path)) == []
    assert fresh.exists()


def test_without_room_for_slots_lines_are_written_all_the_same(path, monkeypatch, caplog):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    log = AuditLog(path, slots=AuditSlots.beside(path))
    assert "No space left" in caplog.text
    assert slot_files(path) == []
    log.end(log.begin("1", EVENT, 200, {"n": 1}), went())
    assert [line["n"] for line in lines(path)] == [1]


def test_more_answers_under_way_than_slots(path):
    log = AuditLog(path, slots=AuditSlots.beside(path))
    begun = [log.begin(str(number), EVENT, 200, {"n": number}) for number in range(2100)]
    assert begun[-1].slot is None
    for one in begun:
        log.end(one, went())
    assert [line["n"] for line in lines(path)] == list(range(2100))
    log.close()
    assert slot_files(path) == []
