"""Codec calls that may hang, crash or eat memory, run in decoder processes that can be killed.

A process that decodes has a few workers (`worker`), started when they are needed, ended after a minute
without work. A frame that kills or outlasts its worker is remembered for a while, so that asking again costs
nothing.
"""

import atexit
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from threading import BoundedSemaphore, Condition, Lock, Thread
from time import monotonic, sleep
from typing import Any

from dicomweb_gateway.errors import DecodersUnavailable, UndecodablePixels
from dicomweb_gateway.pixels.decoder_process import GRACE_SECONDS, DecoderProcess, Died
from dicomweb_gateway.pixels.optionals import Samples
from dicomweb_gateway.pixels.poison import Key, Poison

DECODE_TIMEOUT = 30.0
"""Seconds that one codec call may take, where no setting says otherwise."""

WORKER = "dicomweb_gateway.pixels.worker"
_IDLE_SECONDS = 60.0
_SLOW_SECONDS = 1.0
_MEMORY_BASE = 768 << 20
_MEMORY_FACTOR = 32
"""Address space of a worker: the interpreter and codecs, and for each decoded byte what float planes take."""


class DecoderPool:
    """At most `size` workers, each of which may take `timeout` seconds a frame and idle `idle_seconds`.

    They run `module`, which is `worker` or, in tests, something that misbehaves.
    """

    def __init__(
        self,
        timeout: float = DECODE_TIMEOUT,
        size: int = 2,
        idle_seconds: float = _IDLE_SECONDS,
        module: str = WORKER,
    ) -> None:
        self.timeout = timeout
        self.size = size
        self._idle_seconds = idle_seconds
        self._module = module
        self._slots = BoundedSemaphore(size)
        self._changed = Condition()
        self._idle: list[DecoderProcess] = []
        self._under_way: set[Key] = set()
        self._has_keeper = False
        self._is_closed = False
        self._poison = Poison()
        self._process_id = os.getpid()

    def run(self, codec: str, data: bytes, options: tuple[Any, ...], decoded_bytes: int) -> Samples:
        """What the codec of this name (`worker.CODECS`) makes of `data`, about `decoded_bytes` of samples.

        Raises UndecodablePixels: the codec's own reason, a crash, more time or memory than is due.
        DecodersUnavailable when no worker is free within `timeout`, or none can be started.
        """
        key = codec, sha256(data).digest()
        request = {
            "codec": codec,
            "options": options,
            "length": len(data),
            "memory": _MEMORY_BASE + _MEMORY_FACTOR * decoded_bytes + 2 * len(data),
            "seconds": self.timeout + GRACE_SECONDS,
        }
        with self._alone(key):
            self._poison.check(key)
            with self._slot():
                return self._decode(key, request, data)

    def is_of_this_process(self) -> bool:
        """False in a process that was forked since: the workers are another one's then."""
        return self._process_id == os.getpid()

    def close(self) -> None:
        """End the idle workers now and those at work when they are done."""
        with self._changed:
            self._is_closed = True
            ending, self._idle = self._idle, []
        for worker in ending:
            worker.end()

    def _decode(self, key: Key, request: dict[str, Any], data: bytes) -> Samples:
        worker, started = self._take(), monotonic()
        try:
            samples = worker.decode(request, data, self.timeout)
        except UndecodablePixels as error:
            self._give_back(worker)
            if monotonic() - started > _SLOW_SECONDS:
                self._poison.add(key, str(error))
            raise
        except (TimeoutError, Died) as error:
            worker.end()
            reason = (
                f"the decoder took longer than {self.timeout:g} seconds"
                if isinstance(error, TimeoutError)
                else f"the decoder crashed ({error})"
            )
            self._poison.add(key, reason)
            raise UndecodablePixels(reason) from error
        except BaseException:
            worker.end()
            raise
        self._give_back(worker)
        return samples

    @contextmanager
    def _alone(self, key: Key) -> Iterator[None]:
        """One caller at a time for a frame: a bad one must not take every worker at once."""
        with self._changed:
            if not self._changed.wait_for(lambda: key not in self._under_way, self.timeout):
                raise DecodersUnavailable("this frame is being decoded and takes long")
            self._under_way.add(key)
        try:
            yield
        finally:
            with self._changed:
                self._under_way.discard(key)
                self._changed.notify_all()

    @contextmanager
    def _slot(self) -> Iterator[None]:
        if not self._slots.acquire(timeout=self.timeout):
            raise DecodersUnavailable("every decoder is busy")
        try:
            yield
        finally:
            self._slots.release()

    def _take(self) -> DecoderProcess:
        """An idle worker that lives, or a new one."""
        while True:
            with self._changed:
                worker = self._idle.pop() if self._idle else None
            if worker is None:
                break
            if worker.is_alive():
                return worker
            worker.end()
        try:
            return DecoderProcess(self._module)
        except OSError as error:
            raise DecodersUnavailable("no decoder process can be started") from error

    def _give_back(self, worker: DecoderProcess) -> None:
        worker.idle_since = monotonic()
        with self._changed:
            if not self._is_closed:
                self._idle.append(worker)
                if not self._has_keeper:
                    self._has_keeper = True
                    Thread(target=self._keep, name="decoder keeper", daemon=True).start()
                return
        worker.end()

    def _keep(self) -> None:
        """End workers that have been idle for long; ends itself with the last of them."""
        while True:
            sleep(self._idle_seconds / 4)
            with self._changed:
                latest = monotonic() - self._idle_seconds
                old = [worker for worker in self._idle if worker.idle_since < latest]
                self._idle = [worker for worker in self._idle if worker not in old]
                self._has_keeper = bool(self._idle)
                goes_on = self._has_keeper
            for worker in old:
                worker.end()
            if not goes_on:
                return


class _Current:
    """The pool of this process, made when it is first needed."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._pool = DecoderPool()
        self._others: list[DecoderPool] = []

    def get(self) -> DecoderPool:
        pool = self._pool
        return pool if pool.is_of_this_process() else self.configure(pool.timeout, pool.size)

    def configure(self, timeout: float, size: int) -> DecoderPool:
        """The pool with these limits; the one before is closed, unless it belongs to another process."""
        with self._lock:
            before = self._pool
            if before.is_of_this_process():
                if (before.timeout, before.size) == (timeout, size):
                    return before
                before.close()
            else:
                self._others.append(before)
            self._pool = DecoderPool(timeout, size)
            return self._pool

    def close(self) -> None:
        if self._pool.is_of_this_process():
            self._pool.close()


_CURRENT = _Current()
atexit.register(_CURRENT.close)


def configure_decoders(timeout: float, size: int) -> None:
    """Limits of this process from now on: seconds for one codec call, and decoder processes at once."""
    _CURRENT.configure(timeout, size)


def guarded(codec: Callable[..., Samples], data: bytes, *options: Any, decoded_bytes: int) -> Samples:
    """`codec(data, *options)` in a decoder process, see `DecoderPool.run`; `codec` is one of `optionals`."""
    return _CURRENT.get().run(codec.__name__, data, options, decoded_bytes)
