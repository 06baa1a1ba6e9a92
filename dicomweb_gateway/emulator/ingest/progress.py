"""How far an import job is, for those who watch; numbers of files."""

from collections.abc import Iterable
from dataclasses import dataclass

from dicomweb_gateway.emulator.jobs import BROKE, IMPORTED, REFUSED, SKIPPED, UNCHANGED, FileOutcome


@dataclass(slots=True)
class JobProgress:
    """`done` of `total` files have an outcome; `scanned` of them were looked into to plan the work.

    Written by the importer's thread only; readers may see figures of slightly different moments.
    """

    total: int = 0
    scanned: int = 0
    done: int = 0
    imported: int = 0
    unchanged: int = 0
    failed: int = 0
    skipped: int = 0
    warnings: int = 0

    def begin(self, total: int) -> None:
        """The number of files is known."""
        self.total = total

    def count(self, outcomes: Iterable[FileOutcome]) -> None:
        """Add files that are through."""
        for outcome in outcomes:
            self.done += 1
            self.imported += outcome.outcome == IMPORTED
            self.unchanged += outcome.outcome == UNCHANGED
            self.failed += outcome.outcome in (REFUSED, BROKE)
            self.skipped += outcome.outcome == SKIPPED
            self.warnings += outcome.outcome == IMPORTED and outcome.message is not None
