"""A small map of recent lookups that many threads share (DESIGN section 2, step 1)."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future
from typing import Generic, NamedTuple, TypeVar

from dicomweb_gateway.errors import GatewayBusy
from dicomweb_gateway.patience import for_others_too, result, until

Value = TypeVar("Value")


class _Entry(NamedTuple, Generic[Value]):
    value: Value
    weight: int
    expires: float


class HotMap(Generic[Value]):
    """Keeps values for `seconds`; threads that miss the same key together cause one load.

    `budget` bounds the sum of `weigh(value)`; the entry that was loaded longest ago goes first. Failures are
    raised to all who waited and are not kept. `seconds` 0 keeps nothing but still joins.
    """

    def __init__(self, seconds: float, budget: int, weigh: Callable[[Value], int]) -> None:
        self._seconds = seconds
        self._budget = budget
        self._weigh = weigh
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, _Entry[Value]] = OrderedDict()
        self._loading: dict[Hashable, Future[Value]] = {}
        self._weight = 0
        self._epoch = 0

    @property
    def epoch(self) -> int:
        """How often all was forgotten: what was read before that is not kept after it."""
        return self._epoch

    def get(self, key: Hashable, load: Callable[[], Value]) -> Value:
        """The value of `key`, from here or from `load`, whose exceptions come through.

        Who waits for another's load waits no longer than their own request may (GatewayBusy, ClientLeft).
        """
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None and entry.expires > time.monotonic():
                return entry.value
            running = self._loading.get(key)
            if running is None:
                own: Future[Value] = Future()
                self._loading[key] = own
        return self._load(key, load, own) if running is None else _joined(running)

    def peek(self, key: Hashable) -> Value | None:
        """The value of `key` where it is kept, without loading it."""
        with self._lock:
            entry = self._entries.get(key)
        return entry.value if entry is not None and entry.expires > time.monotonic() else None

    def keep(self, key: Hashable, value: Value, epoch: int | None = None) -> None:
        """Keep one value that was loaded otherwise; `epoch` is that of before it was read, None: of now."""
        with self._lock:
            self._keep(key, value, self._epoch if epoch is None else epoch)

    def add(self, values: Mapping[Hashable, Value], epoch: int | None = None) -> None:
        """Keep what was loaded otherwise; nothing when it would displace more than a quarter of the rest.

        `epoch` is that of before it was read, None: of now.
        """
        if sum(map(self._weigh, values.values())) > self._budget // 4:
            return
        with self._lock:
            for key, value in values.items():
                self._keep(key, value, self._epoch if epoch is None else epoch)

    def clear(self) -> None:
        """Forget everything that is kept."""
        with self._lock:
            self._entries.clear()
            self._weight = 0
            self._epoch += 1

    def _load(self, key: Hashable, load: Callable[[], Value], own: Future[Value]) -> Value:
        epoch = self._epoch
        try:
            with for_others_too():
                value = load()
        except BaseException as error:
            with self._lock:
                del self._loading[key]
            own.set_exception(error)
            raise
        with self._lock:
            del self._loading[key]
            self._keep(key, value, epoch)
        own.set_result(value)
        return value

    def _keep(self, key: Hashable, value: Value, epoch: int) -> None:
        if epoch != self._epoch:
            return
        self._drop(key)
        weight = self._weigh(value)
        if self._seconds <= 0 or weight > self._budget:
            return
        self._entries[key] = _Entry(value, weight, time.monotonic() + self._seconds)
        self._weight += weight
        while self._weight > self._budget:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: Hashable) -> None:
        old = self._entries.pop(key, None)
        if old is not None:
            self._weight -= old.weight


def _joined(running: "Future[Value]") -> Value:
    try:
        return result(running, until(float("inf")))
    except TimeoutError:
        if running.done():
            raise
        raise GatewayBusy("what others have asked for already is still being read") from None
