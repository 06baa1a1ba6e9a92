"""Clients that go on asking while something is done to the service; every failure is counted."""

import http.client
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import requests

STORED = {"Accept": "image/jphc"}
Connect = Callable[[int], http.client.HTTPConnection]
"""Makes the connection of a client, which has a number from 0 on."""
PAUSE = 0.02
"""Seconds between a client's requests: a request is always under way, and the machine is left to others."""


@dataclass
class Tally:
    """What became of the requests: `statuses`, and `failures` by the kind of what was seen instead."""

    statuses: Counter[int] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    closed: int = 0
    """Answers that ended their connection."""
    wrong: int = 0
    """Whole answers that were not what they had been before."""

    @property
    def asked(self) -> int:
        return self.statuses.total() + self.failures.total()


def frame_paths(base: str, study: str) -> dict[str, bytes]:
    """The frames of a study's only series by their paths, as they are now."""
    root, _, path = base.partition("/aetitle")
    found = {}
    with requests.Session() as session:
        for row in session.get(f"{root}/aetitle{path}/studies/{study}/instances", timeout=30).json():
            series, instance = row["0020000E"]["Value"][0], row["00080018"]["Value"][0]
            frame = f"/aetitle/studies/{study}/series/{series}/instances/{instance}/frames/1"
            found[frame] = session.get(f"{root}{frame}", headers=STORED, timeout=60).content
    return found


def to_this_machine(port: int) -> Connect:
    return lambda _: http.client.HTTPConnection("127.0.0.1", port, timeout=60)


@contextmanager
def load(
    port: int | Connect,
    wanted: dict[str, bytes],
    clients: int = 8,
    headers: Mapping[str, str] = STORED,
) -> Iterator[Tally]:
    """Until the block ends: of the clients every other one opens a connection for each request.

    `port` is one of this machine, or what makes the connections of a client.
    """
    connect = to_this_machine(port) if isinstance(port, int) else port
    tally, stop, lock = Tally(), threading.Event(), threading.Lock()
    threads = [
        threading.Thread(
            target=_ask, args=(connect, list(wanted.items()), dict(headers), number, tally, stop, lock)
        )
        for number in range(clients)
    ]
    for thread in threads:
        thread.start()
    try:
        yield tally
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)


def _ask(
    connect: Connect,
    wanted: Sequence[tuple[str, bytes]],
    headers: dict[str, str],
    number: int,
    tally: Tally,
    stop: threading.Event,
    lock: threading.Lock,
) -> None:
    connection = connect(number)
    turn = number * 7
    while not stop.is_set():
        path, expected = wanted[turn % len(wanted)]
        turn += 1
        try:
            # no retry anywhere: what breaks is seen
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            body, ends = answer.read(), answer.getheader("Connection", "").lower() == "close"
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            with lock:
                tally.failures[type(error).__name__] += 1
            stop.wait(0.02)
            continue
        with lock:
            tally.statuses[answer.status] += 1
            tally.closed += ends
            tally.wrong += answer.status == 200 and body != expected
        if number % 2:
            connection.close()
        stop.wait(PAUSE)
    connection.close()
