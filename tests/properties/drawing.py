"""How cases are drawn: the same ones in every run, others where PROPERTY_CASES is set."""

import os
from collections.abc import Iterable
from typing import Any

from hypothesis import HealthCheck, settings

LARGE = (HealthCheck.too_slow, HealthCheck.data_too_large)


def drawn(most: int, suppressed: Iterable[HealthCheck] = tuple(HealthCheck), **more: Any) -> settings:
    """`most` cases, in whatever time, without the health checks that are `suppressed`."""
    return settings(
        max_examples=most,
        deadline=None,
        database=None,
        derandomize="PROPERTY_CASES" not in os.environ,
        suppress_health_check=suppressed,
        **more,
    )
