"""How far a demo's import is: a small file that the loader writes and every web process reads."""

import json
import os
from pathlib import Path
from typing import NamedTuple

_NAME = "loading.json"


class Progress(NamedTuple):
    """Files done of files found; `total` is 0 while they are still being counted."""

    done: int
    total: int


def write_progress(data_dir: Path, progress: Progress) -> None:
    """Say how far the import is; written beside and renamed, so that no reader sees half of it."""
    beside = data_dir / f"{_NAME}.part"
    beside.write_text(json.dumps(progress._asdict()))
    os.replace(beside, data_dir / _NAME)


def clear_progress(data_dir: Path) -> None:
    """Say that nothing is being imported."""
    (data_dir / _NAME).unlink(missing_ok=True)


def read_progress(data_dir: Path) -> Progress | None:
    """How far the import is, None when nothing is being imported."""
    try:
        return Progress(**json.loads((data_dir / _NAME).read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        return Progress(0, 0)
