"""Which files an import has: found by content, checked, and shared out among jobs."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path

from dicomweb_gateway.dicom.found_files import FoundFile, find_files
from dicomweb_gateway.dicom.spool_space import SpoolSpace
from dicomweb_gateway.errors import ImportTrouble, NotDicom, UnreadableDicom
from dicomweb_gateway.stow.checking import Instance
from dicomweb_gateway.workflow.importing.checking import check_file
from dicomweb_gateway.workflow.importing.ledger import LEFT_OUT, REFUSED, UNCHANGED, WAITING, FileRow

_THREADS = 4
_AHEAD = 64

Checked = tuple[FoundFile, Instance | UnreadableDicom | None]
"""A file and what it is; None: it was imported as it is before, and not read again."""


def found_files(sources: Sequence[Path]) -> list[FoundFile]:
    """The files of all `sources`, each once, in the order of their paths; ImportTrouble for one missing."""
    found: dict[str, FoundFile] = {}
    for source in sources:
        if not source.exists():
            raise ImportTrouble(f"{source} does not exist")
        found.update((one.path, one) for one in find_files(str(source.absolute())))
    return [found[path] for path in sorted(found, key=os.fsencode)]


def checked_files(
    files: Iterable[FoundFile], is_known: Callable[[FoundFile], bool], space: SpoolSpace
) -> Iterator[Checked]:
    """Each file with its instance or the reason why it has none; those that are known are not read."""
    following = iter(files)
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="check") as pool:
        under_way: list[tuple[FoundFile, Future[Instance | UnreadableDicom] | None]] = []
        while True:
            under_way += [
                (file, None if is_known(file) else pool.submit(_check, file.path, space))
                for file in islice(following, _AHEAD - len(under_way))
            ]
            if not under_way:
                return
            file, future = under_way.pop(0)
            yield file, None if future is None else future.result()


def shared_out(checked: Iterable[Checked], most_files: int, most_bytes: int) -> list[FileRow]:
    """Rows of all files, those to import in batches of at most so many files and bytes.

    A series comes into as few batches as it can: each further job is a further version of its image set.
    """
    rows: list[FileRow] = []
    ready: list[tuple[str, str, FileRow]] = []
    for file, found in checked:
        row = FileRow(file.path, file.size, file.mtime_ns, WAITING)
        match found:
            case None:
                rows.append(replace(row, state=UNCHANGED))
            case NotDicom():
                rows.append(replace(row, state=LEFT_OUT, reason=str(found)))
            case UnreadableDicom():
                rows.append(replace(row, state=REFUSED, reason=str(found)))
            case Instance():
                ready.append((found.study_uid, found.series_uid, row))
    ready.sort(key=lambda one: (one[0], one[1], os.fsencode(one[2].path)))
    batch, number, size = 1, 0, 0
    for _, _, row in ready:
        if number and (number >= most_files or size + row.size > most_bytes):
            batch, number, size = batch + 1, 0, 0
        number, size = number + 1, size + row.size
        rows.append(replace(row, batch=batch, number=number))
    return rows


def _check(path: str, space: SpoolSpace) -> Instance | UnreadableDicom:
    try:
        return check_file(path, space)
    except UnreadableDicom as error:
        return error
