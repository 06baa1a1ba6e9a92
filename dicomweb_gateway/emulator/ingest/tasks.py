"""What the import's coordinator asks of a worker process, and what it gets back."""

from dataclasses import dataclass
from pathlib import Path

from dicomweb_gateway.emulator.ingest.instance import ImportedInstance
from dicomweb_gateway.emulator.ingest.reading import Identity


@dataclass(frozen=True, slots=True)
class IdentifyTask:
    """Read the identity of each file, and no more of it."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ImportTask:
    """Import one file: frames into blobs below `blob_root`, attributes into the answer."""

    path: str
    blob_root: Path
    datastore_id: str
    lossless_uid: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A file that cannot be imported; `ours` when the reason lies here and not in the file."""

    reason: str
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Died:
    """The worker died or hung over the task; which of several files it was is not known."""

    reason: str


Task = IdentifyTask | ImportTask
Answer = tuple[Identity | Refusal, ...] | ImportedInstance | Refusal | Died
