"""What a synchronisation of the index did."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class SyncReport:
    """What one run did, in image sets; `failures` is image set id to reason.

    `found` counts what the store listed so far, `listed` says whether that is all of it.
    """

    found: int = 0
    listed: bool = False
    indexed: int = 0
    unchanged: int = 0
    removed: int = 0
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def done(self) -> int:
        """Image sets that need no more work."""
        return self.indexed + self.unchanged + len(self.failures)

    def numbers(self) -> dict[str, int]:
        """The figures that are kept of a run."""
        own = {"indexed": self.indexed, "unchanged": self.unchanged, "removed": self.removed}
        return {**own, "failed": len(self.failures)}


Listener = Callable[[SyncReport], None]
