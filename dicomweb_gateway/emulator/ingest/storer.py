"""StoreDICOM: instances of one request, imported and visible when it is answered (healthimaging.md 5)."""

import shutil
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from dicomweb_gateway.dicom.found_files import FoundFile
from dicomweb_gateway.dicom.multipart import Part
from dicomweb_gateway.dicom.store_response import MISMATCH, NOT_UNDERSTOOD, PROCESSING_FAILURE, Outcome
from dicomweb_gateway.emulator.config import EmulatorConfig
from dicomweb_gateway.emulator.events import Events
from dicomweb_gateway.emulator.ingest.importer import lossless_syntax
from dicomweb_gateway.emulator.ingest.instance import ImportedInstance
from dicomweb_gateway.emulator.ingest.plan import Group, plan_groups
from dicomweb_gateway.emulator.ingest.pool import WorkerPool
from dicomweb_gateway.emulator.ingest.publish import publish
from dicomweb_gateway.emulator.ingest.reading import Identity, read_identity
from dicomweb_gateway.emulator.ingest.tasks import Died, ImportTask, Refusal
from dicomweb_gateway.emulator.jobs import IMPORTED
from dicomweb_gateway.emulator.storage import Storage
from dicomweb_gateway.errors import UnreadableDicom

_COPY_BYTES = 1 << 20


class Storer:
    """Imports the parts of requests, one request after the other; `stop` ends its processes."""

    def __init__(self, storage: Storage, config: EmulatorConfig, events: Events) -> None:
        self._storage = storage
        self._events = events
        self._pool = WorkerPool(config.workers)
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def stop(self) -> None:
        """End the processes; a request that is under way fails."""
        self._stop.set()
        with self._lock:
            self._pool.close()

    def store(
        self, datastore_id: str, study_uid: str | None, body: BinaryIO, parts: Sequence[Part]
    ) -> list[Outcome]:
        """What became of each part, in their order; all must be of `study_uid` where it is given."""
        with self._lock, self._folder() as folder:
            files = [_copied(body, part, folder / f"{number:06}") for number, part in enumerate(parts)]
            outcomes: dict[str, Outcome] = {}
            identified: list[tuple[FoundFile, Identity]] = []
            for file in files:
                identity = _identified(file, study_uid)
                if isinstance(identity, Outcome):
                    outcomes[file.path] = identity
                else:
                    identified.append((file, identity))
            plan = plan_groups(identified, {})
            named = {file.path: identity for file, identity in identified}
            for skipped in plan.skipped:
                outcomes[skipped.path] = _failed(named[skipped.path], "another part has this UID")
            for group in plan.groups:
                outcomes.update(self._import(datastore_id, group, named))
            return [outcomes[file.path] for file in files]

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        folder = self._storage.incoming / uuid.uuid4().hex
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _import(self, datastore_id: str, group: Group, named: dict[str, Identity]) -> dict[str, Outcome]:
        """Import one group and make it visible."""
        lossless = lossless_syntax(self._storage, datastore_id)
        tasks = [ImportTask(f.path, self._storage.frames, datastore_id, lossless) for f in group.files]
        ready: dict[str, ImportedInstance] = {}
        outcomes: dict[str, Outcome] = {}
        for task, answer in self._pool.run(tasks, self._stop):
            if not isinstance(task, ImportTask):
                continue
            if isinstance(answer, ImportedInstance):
                ready[task.path] = answer
            else:
                reason = answer.reason if isinstance(answer, Refusal | Died) else "no usable answer"
                outcomes[task.path] = _failed(named[task.path], reason)
        if len(ready) + len(outcomes) < len(tasks):
            raise RuntimeError("the emulator is ending")
        files = [(file, ready[file.path]) for file in group.files if file.path in ready]
        for done in publish(self._storage, self._events, None, datastore_id, files) if files else ():
            identity = named[done.path]
            outcomes[done.path] = (
                _stored(identity) if done.outcome == IMPORTED else _failed(identity, done.message or "")
            )
        return outcomes


def _copied(body: BinaryIO, part: Part, path: Path) -> FoundFile:
    with path.open("wb") as file, part.open(body) as source:
        shutil.copyfileobj(source, file, _COPY_BYTES)
    return FoundFile(str(path), part.length, 0)


def _identified(file: FoundFile, study_uid: str | None) -> Identity | Outcome:
    try:
        identity = read_identity(file.path)
    except UnreadableDicom as error:
        return Outcome(failure=NOT_UNDERSTOOD, reason=str(error))
    if study_uid is not None and identity.study_uid != study_uid:
        return _failed(identity, "it belongs to another study than the address", MISMATCH)
    return identity


def _stored(identity: Identity) -> Outcome:
    return Outcome(
        identity.class_uid,
        identity.instance_uid,
        study_uid=identity.study_uid,
        series_uid=identity.series_uid,
    )


def _failed(identity: Identity, reason: str, code: int = PROCESSING_FAILURE) -> Outcome:
    return Outcome(identity.class_uid, identity.instance_uid, code, reason)
