"""Who is walked, and what they have answered before they are asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class Guide(Protocol):
    """Who is walked: each question has a default, which stands where nobody is asked."""

    def say(self, text: str = "") -> None:
        """Tell something."""
        ...

    def text(self, question: str, default: str) -> str:
        """A name."""
        ...

    def choose(self, question: str, options: Mapping[str, str], default: str) -> str:
        """The key of one of `options`."""
        ...

    def agree(self, question: str, default: bool) -> bool:
        """Yes or no."""
        ...


@dataclass(frozen=True, slots=True)
class Answers:
    """What was answered before it is asked; None: it is asked. `delete`: clean up at the end.

    `create` False with a `stack`: that stack is used, and left. `own_emulator`: HealthImaging is the walk's
    own, below its data folder.
    """

    create: bool | None = None
    stack: str | None = None
    datastore_id: str | None = None
    datastore_name: str | None = None
    samples: str | None = None
    dicom: tuple[Path, ...] = ()
    out: Path = Path("output")
    delete: bool | None = None
    processes: int | None = None
    own_emulator: bool = False
