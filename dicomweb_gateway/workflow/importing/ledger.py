"""What is known of imports, in one SQLite file: whatever breaks off, the next run goes on from here."""

import os
import sqlite3
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from dicomweb_gateway.errors import ImportTrouble

WAITING, STAGED = "waiting", "staged"
IMPORTED, NOTED, UNCHANGED = "imported", "noted", "unchanged"
LEFT_OUT, REFUSED, FAILED = "left out", "refused", "failed"

FILLING, ATTEMPTED, STARTED, ENDED, READ, INDEXED, CLEARED = range(7)
"""States of a batch, in their order: files go up; the job may have been asked for; it has an id; it has
ended; its logs are read; its image sets are indexed; what was staged for it is dealt with."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS run (
  id TEXT PRIMARY KEY, target TEXT NOT NULL, sources TEXT NOT NULL, created REAL NOT NULL,
  scanned INTEGER NOT NULL DEFAULT 0, ended INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS file (
  run TEXT NOT NULL, path BLOB NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
  batch INTEGER, number INTEGER, state TEXT NOT NULL, reason TEXT,
  PRIMARY KEY (run, path)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS file_batch ON file (run, batch, number);
CREATE INDEX IF NOT EXISTS file_path ON file (path);
CREATE TABLE IF NOT EXISTS batch (
  run TEXT NOT NULL, number INTEGER NOT NULL, state INTEGER NOT NULL DEFAULT 0, job_id TEXT, output TEXT,
  status TEXT, message TEXT, image_sets TEXT, PRIMARY KEY (run, number)) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class FileRow:
    """A file of a run; `batch` and `number` within it are None for files that no job gets."""

    path: str
    size: int
    mtime_ns: int
    state: str
    batch: int | None = None
    number: int | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """The files of one job, and how far it is; `image_sets` are (id, version) as its manifest has them."""

    number: int
    state: int = FILLING
    job_id: str | None = None
    output: str | None = None
    status: str | None = None
    message: str | None = None
    image_sets: tuple[tuple[str, str | None], ...] = ()


class Ledger:
    """The file at `path`, made when missing; for one thread. ImportTrouble when it cannot be written."""

    def __init__(self, path: Path) -> None:
        # names of files may say whom they are of
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _told():
            self._connection = sqlite3.connect(path, timeout=30, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def open_run(self, target: str, sources: Sequence[str], run: str | None = None) -> str:
        """The id of the run of these sources that has not ended, made when there is none.

        Where `run` names one it is that, ended or not.
        """
        told = orjson.dumps([list(os.fsencode(one)) for one in sources]).decode()
        found = self._one(
            "SELECT id FROM run WHERE id = ?3 OR (?3 IS NULL AND target = ?1 AND sources = ?2 AND ended = 0)",
            (target, told, run),
        )
        if found is not None:
            return str(found[0])
        run = run or uuid.uuid4().hex
        self._write(
            "INSERT INTO run (id, target, sources, created) VALUES (?, ?, ?, ?)",
            [(run, target, told, time.time())],
        )
        return run

    def end_run(self, run: str) -> None:
        """Nothing is left to be done for it."""
        self._write("UPDATE run SET ended = 1 WHERE id = ?", [(run,)])

    def is_scanned(self, run: str) -> bool:
        """Whether its files are known."""
        found = self._one("SELECT scanned FROM run WHERE id = ?", (run,))
        return bool(found and found[0])

    def done_before(self, target: str, path: str, size: int, mtime_ns: int) -> bool:
        """Whether an earlier run has imported the file as it is."""
        return (
            self._one(
                "SELECT 1 FROM file JOIN run ON run.id = file.run WHERE file.path = ? AND file.size = ? AND "
                "file.mtime_ns = ? AND file.state IN (?, ?) AND run.target = ?",
                (os.fsencode(path), size, mtime_ns, IMPORTED, NOTED, target),
            )
            is not None
        )

    def scanned(self, run: str, files: Iterable[FileRow]) -> None:
        """All files of a run at once; a scan that breaks off leaves none."""
        with self._transaction():
            self._put(run, files)
            self._connection.execute(
                "INSERT INTO batch (run, number) SELECT DISTINCT run, batch FROM file "
                "WHERE run = ? AND batch IS NOT NULL",
                (run,),
            )
            self._connection.execute("UPDATE run SET scanned = 1 WHERE id = ?", (run,))

    def put(self, run: str, files: Iterable[FileRow]) -> None:
        """Files as they are now, in one transaction."""
        with self._transaction():
            self._put(run, files)

    def files(self, run: str, batch: int | None = None) -> Iterator[FileRow]:
        """The files of a run, or of one of its batches, in the order of their paths, by and by."""
        with _told():
            rows = self._connection.execute(
                "SELECT path, size, mtime_ns, state, batch, number, reason FROM file "
                "WHERE run = ?1 AND (?2 IS NULL OR batch = ?2) ORDER BY path",
                (run, batch),
            )
            for path, *rest in rows:
                yield FileRow(os.fsdecode(path), *rest)

    def counts(self, run: str) -> dict[str, int]:
        """Numbers of files by state."""
        with _told():
            rows = self._connection.execute(
                "SELECT state, count(*) FROM file WHERE run = ? GROUP BY state", (run,)
            )
            return dict(rows.fetchall())

    def batches(self, run: str) -> list[Batch]:
        """All batches of a run."""
        with _told():
            rows = self._connection.execute(
                "SELECT image_sets, number, state, job_id, output, status, message FROM batch "
                "WHERE run = ? ORDER BY number",
                (run,),
            ).fetchall()
        return [
            replace(Batch(*row), image_sets=tuple(map(tuple, orjson.loads(sets or "[]"))))
            for sets, *row in rows
        ]

    def put_batch(self, run: str, batch: Batch, files: Iterable[FileRow] = ()) -> None:
        """A batch as it is now, and what became of its files, in one transaction."""
        sets = orjson.dumps(batch.image_sets).decode()
        with self._transaction():
            self._put(run, files)
            self._connection.execute(
                "INSERT OR REPLACE INTO batch VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    run,
                    batch.number,
                    batch.state,
                    batch.job_id,
                    batch.output,
                    batch.status,
                    batch.message,
                    sets,
                ),
            )

    def _put(self, run: str, files: Iterable[FileRow]) -> None:
        self._connection.executemany(
            "INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (run, os.fsencode(f.path), f.size, f.mtime_ns, f.batch, f.number, f.state, f.reason)
                for f in files
            ),
        )

    def _one(self, sql: str, values: tuple[Any, ...]) -> tuple[Any, ...] | None:
        with _told():
            row: tuple[Any, ...] | None = self._connection.execute(sql, values).fetchone()
            return row

    def _write(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
        with self._transaction():
            self._connection.executemany(sql, rows)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with _told():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise ImportTrouble(f"the ledger of imports cannot be used: {error}") from error
