"""SQLite indexes of the newest revision, without running the migrations for each."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from dicomweb_gateway.index.migrate import upgrade


@cache
def _migrated() -> bytes:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "index.db"
        upgrade(f"sqlite:///{file}")
        return file.read_bytes()


def migrated_file(path: Path) -> str:
    """The SQLAlchemy URL of a new, empty index at `path`."""
    path.write_bytes(_migrated())
    return f"sqlite:///{path}"
