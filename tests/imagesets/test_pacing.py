import subprocess
import sys
import threading
import time

import pytest

from dicomweb_gateway.errors import UpstreamThrottled
from dicomweb_gateway.imagesets.pacing import RateLimits, Rates, SharedRate
from dicomweb_gateway.telemetry.tally import Tally

OTHER = """
import sys
from pathlib import Path
from dicomweb_gateway.imagesets.pacing import SharedRate
print(SharedRate(float(sys.argv[1]), "one", Path(sys.argv[2])).try_take())
"""


def other_process(limit: float, folder) -> str:
    command = [sys.executable, "-W", "error", "-c", OTHER, str(limit), str(folder)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def drain(rate: SharedRate) -> int:
    taken = 0
    while rate.try_take():
        taken += 1
    return taken


def test_all_processes_share_one_rate(tmp_path):
    assert drain(SharedRate(0.01, "one", tmp_path)) == 1
    assert other_process(0.01, tmp_path) == "False"
    assert SharedRate(0.01, "two", tmp_path).try_take()


def test_what_cannot_be_had_in_time_is_refused_at_once(tmp_path):
    rate = SharedRate(0.1, "one", tmp_path)
    rate.take(0)
    with pytest.raises(UpstreamThrottled) as caught:
        rate.take(2)
    assert caught.value.retry_after > 5
    with pytest.raises(UpstreamThrottled):
        rate.take(2, urgent=False)


def test_tokens_that_were_taken_along_are_gone_for_the_others(tmp_path):
    one, other = SharedRate(1000, "one", tmp_path), SharedRate(1000, "one", tmp_path)
    begun = time.monotonic()
    taken = drain_urgently(one) + drain(other) + drain_urgently(one)
    assert 40 <= taken <= 50 + 1000 * (time.monotonic() - begun)


def test_nothing_that_was_taken_along_is_used_after_a_refusal(tmp_path):
    rate = SharedRate(1000, "one", tmp_path)
    rate.take(0)
    drain(SharedRate(1000, "one", tmp_path))
    rate.throttled()
    begun = time.monotonic()
    assert drain_urgently(rate) <= 1 + 1000 * (time.monotonic() - begun)


def drain_urgently(rate: SharedRate) -> int:
    for taken in range(1000):
        try:
            rate.take(0)
        except UpstreamThrottled:
            return taken
    raise AssertionError("no end of tokens")


def test_never_more_than_the_limit(tmp_path):
    rates = [SharedRate(200, "one", tmp_path) for _ in range(3)]
    begun = time.monotonic()
    moments = []

    def calls(rate: SharedRate) -> None:
        for _ in range(20):
            rate.take(10)
            moments.append(time.monotonic())

    threads = [threading.Thread(target=calls, args=(rate,)) for rate in rates]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # 10 tokens lie there at first; the others come 200 a second
    assert len(moments) == 60
    assert max(moments) - begun >= 50 / 200 - 0.01


def test_calls_that_nobody_waits_for_leave_a_share(tmp_path, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    rate = SharedRate(100, "one", tmp_path)
    granted = 0
    for _ in range(1000):
        now[0] += 0.001
        try:
            rate.take(0, urgent=False)
            granted += 1
        except UpstreamThrottled:
            continue
    assert 60 <= granted <= 76
    assert rate.try_take()


def test_a_call_that_becomes_urgent_waits_no_longer_with_those_that_are_not(tmp_path):
    rate = SharedRate(20, "one", tmp_path)
    drain(rate)
    for _ in range(10):
        # others have booked all of the next half second
        rate._book(5)
    looks: list[bool] = []

    def is_urgent() -> bool:
        looks.append(len(looks) > 2)
        return looks[-1]

    rate.take(2, is_urgent)
    assert looks == [False, False, False, True]


def test_a_refusal_cuts_the_rate_once_and_time_heals_it(tmp_path, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    tally = Tally()
    rate = SharedRate(100, "one", tmp_path, tally)
    for _ in range(200):
        now[0] += 0.01
        rate.try_take()
    for _ in range(5):
        rate.throttled()
    assert 40 <= rate.rate() <= 75
    assert tally.snapshot()["rate_cuts"] == 1
    assert SharedRate(100, "one", tmp_path).rate() == rate.rate()
    now[0] += 60
    assert rate.rate() == 100


@pytest.mark.parametrize("damage", [b"", b"x", b"\xff" * 500, b"DGRATE1\0" + b"\x7f" * 200])
def test_a_damaged_file_only_begins_anew(tmp_path, damage):
    rate = SharedRate(0.01, "one", tmp_path)
    drain(rate)
    (file,) = tmp_path.iterdir()
    file.write_bytes(damage)
    assert drain(rate) == 1


def test_a_moment_from_before_a_restart_only_begins_anew(tmp_path, monkeypatch):
    rate = SharedRate(0.01, "one", tmp_path)
    drain(rate)
    monkeypatch.setattr("time.monotonic", lambda: 0.5)
    assert drain(rate) == 1


def test_a_lost_file_is_made_again(tmp_path, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    rate = SharedRate(0.01, "one", tmp_path)
    drain(rate)
    (file,) = tmp_path.iterdir()
    file.unlink()
    now[0] += 6
    rate.try_take()
    assert file.exists()


def test_without_a_folder_to_write_to_each_process_keeps_its_own(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    rate = SharedRate(0.01, "one", blocked)
    assert drain(rate) == 1


def test_every_data_store_and_operation_has_its_own():
    rates = Rates(RateLimits(frames=0.01, metadata=0), "endpoint", Tally())
    assert rates.documents("a") is None
    first, second = rates.frames("a"), rates.frames("b")
    assert first is rates.frames("a")
    assert first is not None
    assert second is not None
    assert first.try_take()
    assert second.try_take()
