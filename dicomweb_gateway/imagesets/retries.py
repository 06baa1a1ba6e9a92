"""How a call is asked again: what may help, how often, and when it is no use any more."""

import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from dicomweb_gateway.errors import UpstreamBusy, UpstreamError, UpstreamThrottled, UpstreamTimeout
from dicomweb_gateway.imagesets.aws_client import ATTEMPTS
from dicomweb_gateway.imagesets.aws_errors import BodyCut, NoConnection, ServerFault
from dicomweb_gateway.imagesets.breaker import Breaker
from dicomweb_gateway.imagesets.pacing import SharedRate, Urgency
from dicomweb_gateway.telemetry.catalogue import UPSTREAM_SECONDS
from dicomweb_gateway.telemetry.meters import observe
from dicomweb_gateway.telemetry.tally import Tally
from dicomweb_gateway.telemetry.timeline import spent

_OUTAGE = (BodyCut, NoConnection, ServerFault, UpstreamTimeout)
_FIRST_BUSY_WAIT = 0.2
_LONGEST_BUSY_WAIT = 3.0
_BACK_OFF = 0.1
_THROTTLED_BACK_OFF = 0.5
_LONGEST_RETRY_AFTER = 5.0
_TELLING_SECONDS = 3.0
_T = TypeVar("_T")

_BUDGET = 500.0
_RETRY_COST = 5.0
_TIMEOUT_COST = 10.0


class RetryBudget:
    """A retry costs 5 of 500 and a success brings one back, as in the SDK's standard mode.

    So a HealthImaging that fails as a whole gets hardly more calls than one that works. Safe from any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left = _BUDGET

    def spend(self, error: UpstreamError) -> bool:
        """Whether one more retry may be made."""
        cost = _TIMEOUT_COST if isinstance(error, UpstreamTimeout) else _RETRY_COST
        with self._lock:
            if self._left < cost:
                return False
            self._left -= cost
            return True

    def passed(self) -> None:
        """A call succeeded."""
        with self._lock:
            self._left = min(_BUDGET, self._left + 1)


class Persistence:
    """Makes calls of one operation until they succeed or it makes no sense to go on; safe from any thread.

    `busy_seconds` is how long a 409 is waited out, `patience` how many seconds a call without deadline waits
    for its turn under the rate limit. `rate` gives the limit of a data store, None for none.
    """

    def __init__(
        self,
        operation: str,
        rate: Callable[[str], SharedRate | None],
        tally: Tally,
        busy_seconds: float,
        patience: float,
    ) -> None:
        self._operation = operation
        self._rate = rate
        self._tally = tally.of(operation)
        self._busy_seconds = busy_seconds
        self._patience = patience
        self._breaker = Breaker(self._tally)
        self._budget = RetryBudget()

    def run(
        self,
        once: Callable[[], _T],
        datastore_id: str,
        thing: str,
        deadline: float | None = None,
        urgent: Urgency = True,
    ) -> _T:
        """What `once` gives; the last UpstreamError when it does not.

        `thing` names what is asked for. No try starts after `deadline` (time.monotonic): UpstreamTimeout.
        UpstreamUnavailable while the breaker is open.
        """
        rate = self._rate(datastore_id)
        plan = _Plan(time.monotonic() + self._busy_seconds)
        while True:
            self._breaker.check()
            self._take_turn(rate, deadline, urgent)
            try:
                return self._try(once, thing, deadline)
            except UpstreamError as error:
                if rate is not None and isinstance(error, UpstreamThrottled):
                    rate.throttled()
                wait = plan.wait_after(error)
                if wait is None or _too_late(wait, deadline):
                    raise
                if not isinstance(error, UpstreamBusy) and not self._budget.spend(error):
                    self._tally.add("retries_refused")
                    raise
            self._tally.add("retries")
            time.sleep(wait)

    def _take_turn(self, rate: SharedRate | None, deadline: float | None, urgent: Urgency) -> None:
        left = self._patience if deadline is None else deadline - time.monotonic()
        if left <= 0:
            raise UpstreamTimeout(f"HealthImaging did not answer {self._operation} in time")
        if rate is not None:
            rate.take(min(left, self._patience), urgent)

    def _try(self, once: Callable[[], _T], thing: str, deadline: float | None) -> _T:
        probe = self._breaker.admit()
        self._tally.add("calls")
        begun = time.monotonic()
        try:
            result = once()
        except UpstreamError as error:
            self._judge(error, probe, thing, begun, deadline)
            raise
        except BaseException:
            self._breaker.unknown(probe)
            raise
        finally:
            seconds = time.monotonic() - begun
            observe(UPSTREAM_SECONDS, seconds, (self._operation,))
            spent("upstream", seconds)
        self._breaker.passed()
        self._budget.passed()
        return result

    def _judge(
        self, error: UpstreamError, probe: bool, thing: str, begun: float, deadline: float | None
    ) -> None:
        now = time.monotonic()
        if isinstance(error, UpstreamThrottled):
            self._tally.add("throttled")
        if isinstance(error, UpstreamTimeout) and _cut_short(begun, now, deadline):
            self._breaker.unknown(probe)
        elif isinstance(error, _OUTAGE):
            self._tally.add("failures")
            self._breaker.failed(probe, None if isinstance(error, NoConnection) else thing)
        else:
            self._breaker.passed()


class _Plan:
    """How one call's next try is timed."""

    def __init__(self, busy_until: float) -> None:
        self._busy_until = busy_until
        self._busy_wait = _FIRST_BUSY_WAIT
        self._tries = 0

    def wait_after(self, error: UpstreamError) -> float | None:
        """Seconds until the next try, None when there is none."""
        if isinstance(error, UpstreamBusy):
            wait = self._busy_wait
            self._busy_wait = min(wait * 2, _LONGEST_BUSY_WAIT)
            return None if time.monotonic() + wait > self._busy_until else wait
        self._tries += 1
        if self._tries >= ATTEMPTS or not isinstance(error, (*_OUTAGE, UpstreamThrottled)):
            return None
        throttled = isinstance(error, UpstreamThrottled)
        base = _THROTTLED_BACK_OFF if throttled else _BACK_OFF
        # jitter, not secrecy: many that failed together must not come back together
        wait = base * 2 ** (self._tries - 1) * (0.5 + random.random() / 2)  # noqa: S311
        asked = (error.retry_after or 0.0) if throttled or isinstance(error, ServerFault) else 0.0
        return None if asked > _LONGEST_RETRY_AFTER else max(wait, asked)


def _too_late(wait: float, deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() + wait >= deadline


def _cut_short(begun: float, now: float, deadline: float | None) -> bool:
    """Whether a try ended at its deadline so soon that its silence says nothing."""
    return deadline is not None and now >= deadline and now - begun < _TELLING_SECONDS
