"""The stand that scenarios run on: a work folder, fresh frames, gateways with an upstream each."""

import itertools
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.benchmarks.client import Lane, Outcome, ask
from tests.benchmarks.content import Frame, Series, make_frames, make_series
from tests.benchmarks.gateway import BASE, STORED, Gateway
from tests.benchmarks.processes import cpu_of, machine_time
from tests.benchmarks.profiled import top_lines
from tests.benchmarks.upstream import Upstream

LATENCY_MS = 30.0


@dataclass(frozen=True)
class Measured:
    """What the client saw, and the CPU seconds that each kind of gateway process took for it.

    `busy` is the share (0 to 1) of all cores' time in which anything at all ran.
    """

    outcome: Outcome
    cpu: dict[str, float]
    upstream_cpu: float = 0.0
    busy: float = 0.0

    @property
    def machine(self) -> dict[str, float]:
        """What else says why it took so long: CPU seconds of client and upstream, busy share of all cores."""
        return {
            "client_cpu_s": self.outcome.cpu,
            "upstream_cpu_s": self.upstream_cpu,
            "busy_share": round(self.busy, 3),
        }

    @property
    def total(self) -> float:
        """CPU seconds of all processes of the gateway."""
        return sum(self.cpu.values())


@dataclass(frozen=True)
class Stand:
    """A gateway and the upstream that it asks."""

    gateway: Gateway
    upstream: Upstream

    def ask(
        self, paths: Sequence[str], connections: int = 1, headers: Mapping[str, str] | None = None
    ) -> Measured:
        """`paths` (below the base path) taken in turn by so many connections."""
        return self.ask_lanes([Lane(connections, list(paths))], headers)

    def ask_lanes(self, lanes: Sequence[Lane], headers: Mapping[str, str] | None = None) -> Measured:
        """Several clients at once, each with connections of its own."""
        below = [Lane(lane.connections, [f"{BASE}{path}" for path in lane.paths]) for lane in lanes]
        upstream, before = cpu_of(self.upstream.process.pid), machine_time()
        with self.gateway.family().spending() as cpu:
            outcome = ask(self.gateway.port, below, dict(STORED if headers is None else headers))
        idle, total = (after - start for start, after in zip(before, machine_time(), strict=True))
        upstream = cpu_of(self.upstream.process.pid) - upstream
        return Measured(outcome, cpu, upstream, 1 - idle / total if total else 0.0)


class Bench:
    """`rounds` of everything, with little data when `quick`; everything lies in `work`, a new folder.

    Nothing is deleted before the end: bulk deletes slow the writes of ext4 for a minute. With `profiles` all
    processes of all gateways write their profiles there.
    """

    def __init__(self, work: Path, rounds: int, quick: bool = False, profiles: Path | None = None) -> None:
        self.work = work
        self.rounds = rounds
        self.quick = quick
        self.profiles = profiles
        self._numbers = itertools.count(1)

    @cached_property
    def pool(self) -> list[Frame]:
        """The distinct frames of this run."""
        return make_frames(2 if self.quick else 16)

    def size(self, full: int, quick: int) -> int:
        """How much data."""
        return quick if self.quick else full

    def series(self, instances: int, frames: int = 1) -> Series:
        """A new one, which no cache and no index knows."""
        return make_series(self.pool, instances, frames)

    def folder(self) -> Path:
        """A name in the work folder that is not taken."""
        return self.work / str(next(self._numbers))

    @contextmanager
    def stand(
        self,
        series: Sequence[Series],
        settings: Mapping[str, str] | None = None,
        latency_ms: float = LATENCY_MS,
        pool: list[Frame] | None = None,
    ) -> Iterator[Stand]:
        """A gateway that has `series` in its index and nothing in its caches, and has been used a little.

        `pool` are the frames that `series` are of, where those are not the bench's own.
        """
        pool = pool or self.pool
        upstream = Upstream(pool, latency_ms)
        try:
            first = make_series(pool, self.size(64, 4))
            for one in (first, *series):
                upstream.add(one)
            profiles = self.profiles and self.profiles / str(next(self._numbers))
            gateway = Gateway(self.folder(), upstream.url, [first, *series], settings, profiles)
            try:
                stand = Stand(gateway, upstream)
                # what a process does once only: imports, connections, prepared statements
                stand.ask(first.frame_paths * 2, connections=self.size(32, 4))
                stand.ask([f"{first.path}/metadata"] * 4, 4, {"Accept": "application/dicom+json"})
                if profiles is not None:
                    gateway.signal(signal.SIGUSR1)
                yield stand
            finally:
                roles = dict(gateway.family().members())
                gateway.stop()
                if profiles is not None:
                    report = "\n".join(top_lines(profiles, roles))
                    (profiles / "top.txt").write_text(report)
                    print(f"profile of {dict(settings or {})}, {profiles}\n{report}", file=sys.stderr)
        finally:
            upstream.stop()
