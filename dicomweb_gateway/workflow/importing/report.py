"""What an import came to, for people, for scripts, and file by file."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from dicomweb_gateway.dicom.found_files import printable
from dicomweb_gateway.workflow.importing.ledger import (
    FAILED,
    IMPORTED,
    LEFT_OUT,
    NOTED,
    REFUSED,
    STAGED,
    UNCHANGED,
    WAITING,
    FileRow,
    Ledger,
)

_TOLD = (REFUSED, FAILED, LEFT_OUT, NOTED)
_REASONS_SHOWN = 12


@dataclass(frozen=True, slots=True)
class ImportReport:
    """Numbers of files; `image_sets` are ids, `jobs` id to status, `index_failures` image set id to reason.

    `imported` counts those with a remark too, of which there are `noted`. `new_image_sets` are those that the
    run has made for certain; the others were there before and took more, or nothing tells.
    """

    run: str
    imported: int
    noted: int
    unchanged: int
    left_out: int
    refused: int
    failed: int
    image_sets: tuple[str, ...]
    new_image_sets: tuple[str, ...]
    jobs: Mapping[str, str]
    index_failures: Mapping[str, str]

    @classmethod
    def of(cls, ledger: Ledger, run: str, index_failures: Mapping[str, str]) -> "ImportReport":
        """The report of a run as the ledger has it."""
        counts = Counter(ledger.counts(run))
        batches = ledger.batches(run)
        sets = dict.fromkeys(one for batch in batches for one, _ in batch.image_sets)
        new = dict.fromkeys(one for batch in batches for one, version in batch.image_sets if version == "1")
        return cls(
            run=run,
            imported=counts[IMPORTED] + counts[NOTED],
            noted=counts[NOTED],
            unchanged=counts[UNCHANGED],
            left_out=counts[LEFT_OUT],
            refused=counts[REFUSED],
            failed=counts[FAILED] + counts[STAGED] + counts[WAITING],
            image_sets=tuple(sets),
            new_image_sets=tuple(new),
            jobs={batch.job_id: batch.status or "" for batch in batches if batch.job_id},
            index_failures=dict(index_failures),
        )

    @property
    def is_fine(self) -> bool:
        """Whether everything that is DICOM came in; files of other kinds do not count."""
        return not (self.refused or self.failed or self.index_failures)

    def row(self) -> dict[str, Any]:
        """For scripts."""
        return {
            **asdict(self),
            "image_sets": list(self.image_sets),
            "new_image_sets": list(self.new_image_sets),
        }

    def lines(self, ledger: Ledger) -> Iterator[str]:
        """For people: figures, then the reasons, those that many files share once."""
        yield (
            f"{self.imported} files imported into {len(self.image_sets)} image sets, "
            f"{self.unchanged} unchanged, {self.left_out} are no DICOM, {self.refused + self.failed} failed"
        )
        if not any(ledger.counts(self.run).values()):
            yield "  there are no files"
        reasons = Counter((row.state, row.reason) for row in told_files(ledger, self.run))
        for (state, reason), count in reasons.most_common(_REASONS_SHOWN):
            yield f"  {count:6d}  {state}: {reason}"
        if len(reasons) > _REASONS_SHOWN:
            yield f"          and {len(reasons) - _REASONS_SHOWN} more reasons"
        for image_set_id, reason in self.index_failures.items():
            yield f"  image set {image_set_id} was not indexed: {reason}"


def told_files(ledger: Ledger, run: str) -> Iterator[FileRow]:
    """The files of which there is something to say."""
    return (row for row in ledger.files(run) if row.state in _TOLD)


def write_file_report(ledger: Ledger, run: str, path: Path) -> int:
    """One JSON object a line for each file of `told_files`; how many lines that are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with path.open("wb") as file:
        for row in told_files(ledger, run):
            count += 1
            told = {"path": printable(row.path), "state": row.state, "reason": row.reason}
            file.write(orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE))
    return count
