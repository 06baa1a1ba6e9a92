"""CPU and memory of processes, from /proc."""

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_of(pid: int) -> float:
    """CPU seconds of a process and of the children that it has waited for; 0 when it is gone.

    The process's own from its CPU clock, to the nanosecond; those of ended children in ticks of 10 ms.
    """
    try:
        # clock_getcpuclockid(3): CPUCLOCK_SCHED of another process
        own = time.clock_gettime((~pid << 3) | 2)
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return own + (int(fields[13]) + int(fields[14])) / _TICKS


def machine_time() -> tuple[int, int]:
    """(idle, all) of all cores since the machine started, in ticks."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return fields[3] + fields[4], sum(fields)


def children_of(pid: int) -> list[int]:
    """The running children of a process."""
    found: list[int] = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += map(int, file.read_text().split())
    return found


def memory_of(pid: int) -> int:
    """Proportional set size in KB; 0 when the process is gone."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


class Family:
    """A process and all below it; `roles` names its children, whatever is deeper is a decoder."""

    def __init__(self, pid: int, roles: dict[int, str] | None = None) -> None:
        self.pid = pid
        self.roles = roles or {}

    def members(self) -> Iterator[tuple[int, str]]:
        """Every process with its role."""
        yield self.pid, "master"
        below = [(child, self.roles.get(child, "other")) for child in children_of(self.pid)]
        while below:
            pid, role = below.pop()
            yield pid, role
            below += [(child, "decoders") for child in children_of(pid)]

    def cpu(self) -> Counter[str]:
        """CPU seconds by role."""
        used: Counter[str] = Counter()
        for pid, role in self.members():
            used[role] += cpu_of(pid)  # type: ignore[assignment]
        return used

    def memory(self) -> Counter[str]:
        """PSS in KB by role."""
        held: Counter[str] = Counter()
        for pid, role in self.members():
            held[role] += memory_of(pid)
        return held

    @contextmanager
    def spending(self) -> Iterator[dict[str, float]]:
        """CPU seconds by role that pass within; filled at the end."""
        used: dict[str, float] = {}
        before = self.cpu()
        yield used
        after = self.cpu()
        used.update({role: after[role] - before[role] for role in after})

    @contextmanager
    def peak(self, seconds: float = 0.05) -> Iterator[dict[str, int]]:
        """`total` and the parts, in KB, of the highest sum of PSS within; filled at the end."""
        found: dict[str, int] = {"total": 0}
        ended = threading.Event()

        def sample() -> None:
            while True:
                held = self.memory()
                if (total := held.total()) > found["total"]:
                    found.update(held, total=total)
                if ended.wait(seconds):
                    return

        thread = threading.Thread(target=sample)
        thread.start()
        try:
            yield found
        finally:
            ended.set()
            thread.join()
