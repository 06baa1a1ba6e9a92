"""A server that answers always, and always too late, is left alone like one that does not answer."""

import time

from dicomweb_gateway.shared.counts import Counts
from dicomweb_gateway.shared.lane import Lane


class Late:
    """Answers right, after three times the time that anybody waits."""

    def get(self, key: str, limit: int) -> bytes | None:
        time.sleep(0.06)
        return b"value"

    def put(self, key: str, value: bytes, seconds: int) -> None:
        pass

    def close(self) -> None:
        pass


def test_who_is_always_late_is_left_alone():
    counts = Counts()
    lane = Lane("late", Late, 0.02, counts)
    for number in range(30):
        assert lane.get(str(number), 100) is None
    assert counts.snapshot()["skipped"] >= 15
