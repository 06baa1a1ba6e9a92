"""The web process's side of the frame path: the store first, then the fetcher that owns the frame."""

import copy
import time
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, NamedTuple

from dicomweb_gateway import patience
from dicomweb_gateway.errors import FetchersUnavailable, UpstreamTimeout
from dicomweb_gateway.frames.channel import Channel, Pending
from dicomweb_gateway.frames.frame_on_disk import FrameOnDisk
from dicomweb_gateway.frames.places import folder_of
from dicomweb_gateway.frames.protocol import Answer
from dicomweb_gateway.frames.store import FrameStore
from dicomweb_gateway.frames.stored_frame import FrameInMemory, StoredFrame
from dicomweb_gateway.imagesets.store import FrameKey, WantedFrame
from dicomweb_gateway.telemetry.catalogue import CACHE, POOL_EVENTS
from dicomweb_gateway.telemetry.tally import Tally
from dicomweb_gateway.telemetry.timeline import span, spent

_PING_SECONDS = 2.0
_PREFETCH_BATCH = 256
_APART = {"hits": (CACHE, ("frame_store", "hit")), "misses": (CACHE, ("frame_store", "miss"))}


class FramePool:
    """Frames for one web process, from any of its threads.

    `fetcher_addresses` are the Unix sockets of the fetchers, in the same order in every process, because a
    frame belongs to the fetcher that its folder belongs to. `timeout_seconds` is how long one frame is waited
    for where neither the call nor the request (`patience`) ends earlier; a fetcher is told and tries no
    longer. Nothing is awaited for a client that has left. The pool may be made before a fork but must be used
    only after it.
    """

    def __init__(self, fetcher_addresses: Sequence[str], store: FrameStore, timeout_seconds: float) -> None:
        self._channels = [Channel(address) for address in fetcher_addresses]
        self._store = store
        self._timeout = timeout_seconds
        self._counters = Tally(POOL_EVENTS, _APART)

    def get(self, wanted: WantedFrame, deadline: float | None = None) -> StoredFrame:
        """The whole frame, from the store or fetched.

        Raises CorruptFrame, an UpstreamError (UpstreamTimeout after `deadline`, time.monotonic),
        FetchersUnavailable when no fetcher took the request, or ClientLeft.
        """
        return self.at_hand(wanted) or self._result(wanted, self._ask(wanted, deadline))

    def at_hand(self, wanted: WantedFrame, *, hold: bool = False) -> StoredFrame | None:
        """The frame from the store, None when it would have to be fetched.

        `hold`: it is used at once (`FrameStore.find`).
        """
        began = time.perf_counter()
        found = self._store.find(wanted.key, hold=hold)
        spent("frames", time.perf_counter() - began)
        if found is None:
            return None
        self._counters.add("hits")
        if found.prefetched:
            self._counters.add("prefetch_useful")
        return found.recovering(partial(self._fetch_inline, wanted))

    def get_many(
        self, wanted: Sequence[WantedFrame], window: int, deadline: float | None = None
    ) -> Generator[StoredFrame, None, None]:
        """The frames in the order asked, at most `window` of them under way; raises as `get` does.

        `deadline` is one for all of them. Closing the generator takes back what is under way.
        """
        under_way: deque[tuple[WantedFrame, StoredFrame | _Asked]] = deque()
        following = iter(wanted)
        try:
            while True:
                while len(under_way) < max(1, window) and (frame := next(following, None)) is not None:
                    # of many frames the last are used long after the first
                    found = self.at_hand(frame, hold=len(wanted) == 1) or self._ask(frame, deadline)
                    under_way.append((frame, found))
                if not under_way:
                    return
                frame, found = under_way.popleft()
                yield self._result(frame, found) if isinstance(found, _Asked) else found
        finally:
            for frame, found in under_way:
                if isinstance(found, _Asked):
                    self._channel(frame.key).release(found.pending)

    def prefetch(self, wanted: Sequence[WantedFrame]) -> None:
        """Have the frames fetched behind everything that is asked for; returns at once, promises nothing.

        Those named last come first, in their order; naming one again moves it there.
        """
        shares: dict[int, list[WantedFrame]] = {}
        for frame in wanted:
            if not self._store.has(frame.key):
                shares.setdefault(self._owner(frame.key), []).append(frame)
        for owner, frames in shares.items():
            # the last batch that is told comes first
            for start in reversed(range(0, len(frames), _PREFETCH_BATCH)):
                self._channels[owner].tell(tuple(frames[start : start + _PREFETCH_BATCH]))

    def ping(self) -> None:
        """Return when every fetcher answers; FetchersUnavailable names those that do not within 2 s."""
        silent = [str(number) for number, stats in enumerate(self._ask_all()) if stats is None]
        if silent:
            raise FetchersUnavailable(f"no answer from frame fetcher {', '.join(silent)}")

    def stats(self) -> dict[str, Any]:
        """Counters of this process and, per fetcher, its own; None for a fetcher that does not answer."""
        return {"pool": self._counters.snapshot(), "fetchers": self._ask_all()}

    def close(self) -> None:
        """Hang up; whoever still waits gets FetchersUnavailable."""
        for channel in self._channels:
            channel.close()

    def _owner(self, key: FrameKey) -> int:
        return folder_of(key) % len(self._channels)

    def _channel(self, key: FrameKey) -> Channel:
        return self._channels[self._owner(key)]

    def _ask(self, wanted: WantedFrame, deadline: float | None, *, inline: bool = False) -> "_Asked":
        self._counters.add("inline" if inline else "misses")
        until = patience.until(self._timeout)
        if deadline is not None:
            until = min(deadline, until)
        return _Asked(self._channel(wanted.key).ask(wanted, until, inline=inline), until, deadline)

    def _result(self, wanted: WantedFrame, asked: "_Asked") -> StoredFrame:
        answer = self._wait(wanted.key, asked)
        if answer.payload is not None:
            return FrameInMemory(answer.payload)
        found: FrameOnDisk | None
        if answer.is_new and answer.length is not None:
            found = self._store.published(wanted.key, answer.length, is_bare=answer.is_bare)
        else:
            found = self._store.find(wanted.key)
        if found is None:
            # a slow reader comes to it long after it was fetched: time to fetch it once more is its own
            return self._fetch_inline(wanted, asked.latest)
        return found.recovering(partial(self._fetch_inline, wanted))

    def _fetch_inline(self, wanted: WantedFrame, deadline: float | None = None) -> StoredFrame:
        """The frame's bytes straight from its fetcher, for when the store's file was lost under our hands."""
        answer = self._wait(wanted.key, self._ask(wanted, deadline, inline=True))
        if answer.payload is None:
            raise FetchersUnavailable("the frame fetcher sent no frame")
        return FrameInMemory(answer.payload)

    def _wait(self, key: FrameKey, asked: "_Asked") -> Answer:
        channel = self._channel(key)
        try:
            with span("upstream"):
                answer = patience.result(asked.pending.future, asked.deadline)
        except TimeoutError as error:
            self._counters.add("timeouts")
            if channel.answering:
                raise UpstreamTimeout("the frame did not come in time") from error
            raise FetchersUnavailable("no frame fetcher answers") from error
        finally:
            channel.release(asked.pending)
        if answer.error is not None:
            # waiters share the answer, but a raised exception belongs to one thread
            raise copy.copy(answer.error)
        return answer

    def _ask_all(self) -> list[dict[str, Any] | None]:
        asked = [(channel, channel.ask_stats()) for channel in self._channels]
        deadline = time.monotonic() + _PING_SECONDS
        answers: list[dict[str, Any] | None] = []
        for channel, pending in asked:
            answers.append(_stats_of(pending.future, max(0.0, deadline - time.monotonic())))
            channel.release(pending)
        return answers


class _Asked(NamedTuple):
    """A request that may be shared, and until when this asker waits for it (time.monotonic).

    `latest` is until when the asker waits in all, None for as long as his request does.
    """

    pending: Pending
    deadline: float
    latest: float | None


def _stats_of(future: "Future[Answer]", seconds: float) -> dict[str, Any] | None:
    try:
        return future.result(seconds).stats
    except (TimeoutError, FetchersUnavailable):
        return None
