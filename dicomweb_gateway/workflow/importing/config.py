"""What an import is told to do."""

from dataclasses import dataclass, field

from dicomweb_gateway.dicom.spool_space import SpoolSpace


@dataclass(frozen=True, slots=True)
class ImportConfig:
    """What an import is to do. Times in seconds; `wait_seconds` None: jobs are followed to their end.

    `again`: files that were imported as they are come once more. `delete_staged`: nothing stays in the
    bucket. What must be unpacked to be checked is unpacked in `space`.
    """

    datastore_id: str
    role_arn: str
    workers: int = 16
    again: bool = False
    delete_staged: bool = False
    batch_files: int = 5000
    batch_bytes: int = 10_000_000_000
    jobs_at_once: int = 20
    tries: int = 10
    pause: float = 5.0
    poll: float = 2.0
    wait_seconds: float | None = None
    space: SpoolSpace = field(default_factory=SpoolSpace)
