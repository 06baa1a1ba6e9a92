"""An import worker: its own process, so that a codec that dies or eats memory costs one file only.

Run as `python -m dicomweb_gateway.emulator.ingest.worker FD`; FD is a connected socket over which tasks come
and answers go, one at a time, until the other side closes it.
"""

import logging
import os
import resource
import signal
import sys
import warnings
from contextlib import suppress
from multiprocessing.connection import Connection

from dicomweb_gateway.emulator.ingest.instance import import_file
from dicomweb_gateway.emulator.ingest.reading import Identity, read_identity
from dicomweb_gateway.emulator.ingest.tasks import Answer, IdentifyTask, ImportTask, Refusal, Task
from dicomweb_gateway.errors import UnreadableDicom

_NICENESS = 5
_SMALLEST_MEMORY = 4 << 30


def serve(connection: Connection) -> None:
    """Answer tasks until the connection ends."""
    while True:
        try:
            task: Task = connection.recv()
        except (EOFError, OSError):
            return
        answer = work(task)
        try:
            connection.send(answer)
        except OSError:
            return


def work(task: Task) -> Answer:
    """Do one task; whatever goes wrong becomes a Refusal."""
    match task:
        case IdentifyTask():
            return tuple(_identity(path) for path in task.paths)
        case ImportTask():
            return _imported(task)


def _identity(path: str) -> Identity | Refusal:
    try:
        return read_identity(path)
    except UnreadableDicom as error:
        return Refusal(str(error))


def _imported(task: ImportTask) -> Answer:
    try:
        return import_file(task.path, task.blob_root, task.datastore_id, task.lossless_uid)
    except UnreadableDicom as error:
        return Refusal(str(error))
    except MemoryError:
        return Refusal("importing it needs more memory than an import may take")
    except OSError as error:
        return Refusal(f"the store cannot be written: {error.strerror or error}", ours=True)
    except Exception as error:
        # A library that stumbles over a hostile file in a new way must not end the job.
        return Refusal(f"cannot be imported: {type(error).__name__}: {error}")


def _limit_memory() -> None:
    """A hostile header must not take the machine down: allocations beyond this fail in the worker alone."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = max(_SMALLEST_MEMORY, physical // 2)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard == resource.RLIM_INFINITY or limit < hard:
        # Not every system has this limit; the guard is then that of the decoders alone.
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def main(descriptor: int) -> None:
    """Set this process up as a worker and serve."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(_NICENESS)
    _limit_memory()
    warnings.simplefilter("ignore")
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    with Connection(descriptor) as connection:
        serve(connection)


if __name__ == "__main__":
    main(int(sys.argv[1]))
