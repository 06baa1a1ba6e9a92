"""How many instances, and what HealthImaging, the database and the network must give, from a site's numbers.

python deploy/sizing.py --viewers 500 --slices 400 --frame-kb 200; without options it prints the table of the
README. The costs are those that `python -m tests.benchmarks` measured (README, Performance), so they can be
given anew for another machine. It plans with averages over the busiest hour and the headroom that is asked.
"""

import argparse
import json
import math
from dataclasses import asdict, dataclass, replace

FRAME_QUOTA = 1000.0
"""GetImageFrame calls a second that AWS allows one account and region, unless it raises it."""
METADATA_QUOTA = 50.0
"""GetImageSetMetadata calls a second, likewise."""


@dataclass(frozen=True)
class Site:
    """What a site does in its busiest hour.

    `viewers` people have a viewer open; each opens `studies_per_hour` studies of `series` series with
    `slices` images in all, `frame_kb` kB each, and looks at `viewed` of the images (no more is asked).
    `cold` is the share of images that no instance has in its store. `searches` are asked for each study.
    """

    viewers: int = 100
    studies_per_hour: float = 8
    series: int = 4
    slices: int = 400
    frame_kb: float = 200
    viewed: float = 0.8
    cold: float = 0.5
    searches: float = 3
    days_kept: float = 7
    studies_per_day: int = 0


@dataclass(frozen=True)
class Machine:
    """An instance and what things cost on it: CPU milliseconds of a core, measured; memory in MB."""

    cores: int = 2
    load: float = 0.6
    warm_ms: float = 0.45
    cold_ms: float = 3.84
    metadata_warm_ms: float = 0.8
    metadata_cold_ms: float = 102.0
    search_ms: float = 10.0
    base_mb: float = 220.0
    process_mb: float = 70.0
    stream_mb: float = 3.0
    network_gbit: float = 5.0
    database_searches: float = 150.0


@dataclass(frozen=True)
class Plan:
    """What is needed; rates are per second over all instances."""

    viewers: int
    frames: float
    cold_frames: float
    metadata: float
    cold_metadata: float
    searches: float
    megabits: float
    cores: float
    instances: int
    memory_mb: float
    cache_gb: float
    database_cores: float
    viewers_per_instance: float
    limits: tuple[str, ...]


def plan(site: Site, machine: Machine) -> Plan:
    """The plan for `site` on instances like `machine`."""
    opened = site.viewers * site.studies_per_hour / 3600
    frames = opened * site.slices * site.viewed
    cold_frames = frames * site.cold
    metadata = opened * site.series
    cold_metadata = metadata * site.cold
    searches = opened * site.searches
    megabits = frames * site.frame_kb * 8 / 1000
    cores = (
        (frames - cold_frames) * machine.warm_ms
        + cold_frames * machine.cold_ms
        + (metadata - cold_metadata) * machine.metadata_warm_ms
        + cold_metadata * machine.metadata_cold_ms
        + searches * machine.search_ms
    ) / 1000
    by_cpu = cores / (machine.cores * machine.load)
    by_network = megabits / (machine.network_gbit * 1000 * machine.load)
    # one more than is needed, so that one may fail
    instances = max(2, math.ceil(max(by_cpu, by_network)) + 1)
    concurrent = frames / instances * 0.2
    memory = machine.base_mb + machine.process_mb * max(0, machine.cores - 2) + concurrent * machine.stream_mb
    daily = site.studies_per_day or round(site.viewers * site.studies_per_hour * 4)
    cache_gb = daily * site.slices * site.viewed * site.frame_kb / 1e6 * site.days_kept
    return Plan(
        viewers=site.viewers,
        frames=frames,
        cold_frames=cold_frames,
        metadata=metadata,
        cold_metadata=cold_metadata,
        searches=searches,
        megabits=megabits,
        cores=cores,
        instances=instances,
        memory_mb=memory,
        cache_gb=cache_gb,
        database_cores=searches / machine.database_searches,
        viewers_per_instance=site.viewers / instances,
        limits=_limits(cold_frames, cold_metadata, by_network, by_cpu),
    )


def _limits(cold_frames: float, cold_metadata: float, by_network: float, by_cpu: float) -> tuple[str, ...]:
    """What must be raised or comes to its end first, in words."""
    found = []
    if cold_frames > FRAME_QUOTA:
        found.append(f"GetImageFrame quota x{cold_frames / FRAME_QUOTA:.1f}")
    if cold_metadata > METADATA_QUOTA:
        found.append(f"GetImageSetMetadata quota x{cold_metadata / METADATA_QUOTA:.1f}")
    if by_network > by_cpu:
        found.append("network before CPU")
    return tuple(found)


def longest_cold(site: Site) -> float:
    """The share of cold images at which HealthImaging's quotas are just kept, 1 at most."""
    hot = plan(replace(site, cold=1.0), Machine())
    return min(1.0, FRAME_QUOTA / hot.cold_frames, METADATA_QUOTA / hot.cold_metadata)


def table(plans: list[Plan]) -> str:
    """Markdown, a line for each plan."""
    lines = [
        "| viewers | frames/s | of them from AHI | metadata/s from AHI | Mbit/s | cores | instances | "
        "MB each | frame store of a week | what must be raised |",
        "| --- " * 10 + "|",
    ]
    return "\n".join([*lines, *map(_row, plans)])


def _row(one: Plan) -> str:
    return (
        f"| {one.viewers:,} | {one.frames:,.0f} | {one.cold_frames:,.0f} | {one.cold_metadata:.1f} | "
        f"{one.megabits:,.0f} | {one.cores:.1f} | {one.instances} | {one.memory_mb:.0f} | "
        f"{one.cache_gb / 1000:.1f} TB | {', '.join(one.limits) or '-'} |"
    )


def main() -> None:
    """Plan for the options, or for 10 to 10,000 viewers."""
    parser = argparse.ArgumentParser(description=__doc__)
    for kind in (Site, Machine):
        for name, value in asdict(kind()).items():
            parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=None)
    parser.add_argument("--json", action="store_true", help="all figures")
    given = {name: value for name, value in vars(parser.parse_args()).items() if value is not None}
    as_json = given.pop("json")
    site = Site(**{name: value for name, value in given.items() if name in asdict(Site())})
    machine = Machine(**{name: value for name, value in given.items() if name in asdict(Machine())})
    counts = [site.viewers] if "viewers" in given else [10, 100, 300, 1000, 3000, 10_000]
    plans = [plan(replace(site, viewers=count), machine) for count in counts]
    if as_json:
        print(json.dumps([asdict(one) for one in plans], indent=1))
        return
    print(table(plans))
    for count in counts:
        share = longest_cold(replace(site, viewers=count))
        print(f"{count:,} viewers keep to HealthImaging's quotas while at most {share:.0%} is cold")


if __name__ == "__main__":
    main()
