"""Named numbers of one part of a process, which also go into the meters of the gateway."""

from collections import Counter
from collections.abc import Mapping
from threading import Lock

from dicomweb_gateway.telemetry.catalogue import Labels, Metric
from dicomweb_gateway.telemetry.meters import count


class Tally:
    """Counts, and seconds, from zero since it was made; safe from any thread.

    Each name is the last label of `metric`, after `labels`, but for those in `apart`, which have a metric and
    further labels of their own. Without a metric nothing goes into the meters.
    """

    def __init__(
        self,
        metric: Metric | None = None,
        apart: Mapping[str, tuple[Metric, Labels]] | None = None,
        labels: Labels = (),
    ) -> None:
        self._metric = metric
        self._apart = apart or {}
        self._labels = labels
        self._lock = Lock()
        self._numbers: Counter[str] = Counter()

    def of(self, *labels: str) -> "Tally":
        """The same numbers, told with `labels`."""
        made = Tally(self._metric, self._apart, labels)
        made._lock, made._numbers = self._lock, self._numbers
        return made

    def add(self, name: str, amount: float = 1) -> None:
        """Add `amount` to the number `name`."""
        with self._lock:
            self._numbers[name] += amount  # type: ignore[assignment]
        if self._metric is None:
            return
        metric, labels = self._apart.get(name, (self._metric, (name,)))
        count(metric, (*self._labels, *labels), amount)

    def snapshot(self) -> dict[str, int | float]:
        """All numbers that were ever touched."""
        with self._lock:
            return dict(self._numbers)
