"""The files of a batch into its staging folder, several at once; what is there already is left there."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from itertools import islice
from pathlib import Path

from dicomweb_gateway.dicom.spool_space import SpoolSpace
from dicomweb_gateway.errors import UnreadableDicom
from dicomweb_gateway.workflow.importing.checking import check_file
from dicomweb_gateway.workflow.importing.ledger import FAILED, REFUSED, STAGED, WAITING, FileRow
from dicomweb_gateway.workflow.importing.naming import staged_name
from dicomweb_gateway.workflow.importing.staging import Staging

_NOTED_EVERY = 0.5
_TRIES = 3
"""Times that a file is put which changes while it is."""

Note = Callable[[list[FileRow]], None]


def stage(
    staging: Staging, folder: str, rows: Iterable[FileRow], workers: int, note: Note, space: SpoolSpace
) -> None:
    """Put those of `rows` that wait; `note` is given, by and by, what has become of them.

    A file that changed since it was checked is checked again, in `space` where it must be unpacked. Raises
    what the staging place raises, after what is under way has ended and was noted; a file that cannot be read
    is not such an error.
    """
    held = staging.held(folder)
    waiting = (row for row in rows if row.state == WAITING)
    done: list[FileRow] = []
    noted_at = time.monotonic()
    with ThreadPoolExecutor(workers, thread_name_prefix="upload") as pool:
        try:
            for row in _each(pool, waiting, lambda row: _put(staging, folder, row, held, space), 2 * workers):
                done.append(row)
                if time.monotonic() - noted_at > _NOTED_EVERY:
                    note(done)
                    done, noted_at = [], time.monotonic()
        finally:
            pool.shutdown(cancel_futures=True)
            note(done)


def _each(
    pool: ThreadPoolExecutor, rows: Iterable[FileRow], work: Callable[[FileRow], FileRow], window: int
) -> Iterator[FileRow]:
    """`work` of each row, as it is done; at most `window` under way."""
    following = iter(rows)
    running: set[Future[FileRow]] = set()
    while True:
        running |= {pool.submit(work, row) for row in islice(following, window - len(running))}
        if not running:
            return
        done, running = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            yield future.result()


def _put(staging: Staging, folder: str, row: FileRow, held: dict[str, int], space: SpoolSpace) -> FileRow:
    name = staged_name(row)
    try:
        for _ in range(_TRIES):
            now = _as_it_is(row)
            if now == row and held.get(name) == row.size:
                return replace(row, state=STAGED)
            if now != row:
                check_file(row.path, space)
            staging.put(folder, name, Path(row.path))
            row = now
            if _as_it_is(row) == row:
                return replace(row, state=STAGED)
        reason, state = "the file changes while it is read", FAILED
    except UnreadableDicom as error:
        reason, state = str(error), REFUSED
    except OSError as error:
        reason, state = f"the file cannot be read: {error.strerror or error}", FAILED
    # what an earlier run has put there, or a file half written has become, is not to be imported
    staging.drop(folder, name)
    return replace(row, state=state, reason=reason)


def _as_it_is(row: FileRow) -> FileRow:
    status = os.stat(row.path)
    return replace(row, size=status.st_size, mtime_ns=status.st_mtime_ns)
