"""What is asked of the running parts when somebody looks: health of each, fetchers and their queues."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from dicomweb_gateway.frames.pool import FramePool
from dicomweb_gateway.release import release
from dicomweb_gateway.settings import Settings, shown
from dicomweb_gateway.telemetry.catalogue import FETCH_QUEUE, FETCHER_UP, HEALTHY, INFO, STORE_BYTES
from dicomweb_gateway.web.metrics import Gauge
from dicomweb_gateway.web.services import About, HealthReport, Part

_STATES = ("running", "demands", "prefetches")


def make_about(
    settings: Settings,
    pool: FramePool,
    health: Callable[[], HealthReport],
    parts: Callable[[], tuple[Part, ...]],
    jobs: Callable[[], dict[str, Any]] = dict,
    indexer: Callable[[], dict[str, Any]] = dict,
) -> About:
    """What the status page and the metrics tell beyond what is counted."""
    told = release()
    return About(
        version=told,
        started_at=time.time(),
        settings=tuple(
            (
                name.upper(),
                "not set" if value in (None, ()) else str(shown(value)),
                name in settings.model_fields_set,
            )
            for name, value in settings.model_dump().items()
        ),
        parts=parts,
        jobs=jobs,
        indexer=indexer,
        gauges=partial(live_gauges, pool, health, told),
    )


def live_gauges(pool: FramePool, health: Callable[[], HealthReport], version: str) -> list[Gauge]:
    """Gauges of this moment; a fetcher that does not answer within 2 s is down and has no others."""
    found: list[Gauge] = [
        (INFO, (version,), 1.0),
        (HEALTHY, (), float(health().failing is None)),
    ]
    for number, stats in enumerate(pool.stats()["fetchers"]):
        found += _of_fetcher(str(number), stats)
    return found


def _of_fetcher(name: str, stats: dict[str, Any] | None) -> list[Gauge]:
    if stats is None:
        return [(FETCHER_UP, (name,), 0.0)]
    return [
        (FETCHER_UP, (name,), 1.0),
        (STORE_BYTES, (name,), float(stats.get("store_bytes", 0))),
        *((FETCH_QUEUE, (name, state), float(stats.get(state, 0))) for state in _STATES),
    ]
