"""The gateway's command line with a profiler of CPU time in every thread of every process.

`BENCHMARK_PROFILES` names the folder for one JSON file a process: rows of calls, CPU seconds in the function
itself, CPU seconds with what it called, file, line, name. The clock is the thread's CPU time, system calls
included, so waiting costs nothing. Each call costs about a microsecond more, so the shares of small Python
functions come out too large; nothing else is changed.
"""

import atexit
import cProfile
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

_Rows = dict[tuple[str, int, str], tuple[int, float, float]]
_PROFILES: list[cProfile.Profile] = []
_BEFORE: _Rows = {}
_leave = os._exit


def top_lines(folder: Path, roles: Mapping[int, str], count: int = 20) -> list[str]:
    """For each role two lists to print: most CPU in the function itself; the gateway's own with callees."""
    rows: dict[str, dict[str, tuple[int, float, float]]] = {}
    for file in sorted(folder.glob("*.json")):
        if int(file.stem) not in roles:
            continue
        known = rows.setdefault(roles[int(file.stem)], {})
        for number, own, whole, path, line, name in json.loads(file.read_bytes()):
            place = name if path == "~" else f"{'/'.join(Path(path).parts[-3:])}:{line} {name}"
            before = known.get(place, (0, 0.0, 0.0))
            known[place] = (before[0] + number, before[1] + own, before[2] + whole)
    lines = []
    for role, known in rows.items():
        everything = sum(own for _, own, _ in known.values())
        ours = {place: row for place, row in known.items() if "dicomweb_gateway/" in place}
        for title, chosen, column in (("by own CPU", known, 1), ("gateway code with callees", ours, 2)):
            lines.append(f"{role}, {everything:.2f} s, {title}: calls, own ms, with callees ms")
            ordered = sorted(chosen.items(), key=lambda item, column=column: -item[1][column])
            lines += [
                f"  {number:8d} {own * 1000:9.1f} {whole * 1000:9.1f}  {place}"
                for place, (number, own, whole) in ordered[:count]
            ]
    return lines


def _begin(*_event: Any) -> None:
    """Profile this thread from now on; `threading` calls it in each thread that starts."""
    profile = cProfile.Profile(time.thread_time)
    _PROFILES.append(profile)
    profile.enable()


def _begin_in_child() -> None:
    sys.setprofile(None)
    _PROFILES.clear()
    _BEFORE.clear()
    _begin()


def _spent() -> _Rows:
    """Calls, own and whole CPU seconds by function, over all threads."""
    rows: _Rows = {}
    for profile in _PROFILES:
        for entry in profile.getstats():
            code = entry.code
            where = (
                ("~", 0, code)
                if isinstance(code, str)
                else (code.co_filename, code.co_firstlineno, code.co_qualname)
            )
            before = rows.get(where, (0, 0.0, 0.0))
            rows[where] = (
                before[0] + entry.callcount,
                before[1] + entry.inlinetime,
                before[2] + entry.totaltime,
            )
    return rows


def _set_aside(*_signal: object) -> None:
    _BEFORE.clear()
    _BEFORE.update(_spent())


def _write() -> None:
    rows = []
    for where, now in _spent().items():
        if where[0] == __file__ or "_lsprof" in where[2]:
            continue
        before = _BEFORE.get(where, (0, 0.0, 0.0))
        rows.append([*(new - old for new, old in zip(now, before, strict=True)), *where])
    file = Path(os.environ["BENCHMARK_PROFILES"]) / f"{os.getpid()}.json"
    file.write_text(json.dumps(rows))


def _write_and_leave(status: int) -> NoReturn:
    _write()
    _leave(status)


if __name__ == "__main__":
    from dicomweb_gateway.cli import main

    os._exit = _write_and_leave
    signal.signal(signal.SIGUSR1, _set_aside)
    atexit.register(_write)
    os.register_at_fork(after_in_child=_begin_in_child)
    threading.setprofile(_begin)
    _begin()
    main()
