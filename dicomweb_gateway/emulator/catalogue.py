"""The emulator's catalogue: one SQLite file in WAL mode that says what exists; bytes lie in blobs beside it.

Nothing is visible before the transaction that names it here, and nothing that is named here was not synced
to disk before (blobs.py).
"""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS datastore (
  id TEXT PRIMARY KEY, name TEXT, status TEXT NOT NULL, storage_format TEXT NOT NULL, kms_key_arn TEXT,
  lambda_authorizer_arn TEXT, client_token TEXT UNIQUE, created REAL NOT NULL, updated REAL NOT NULL);

CREATE TABLE IF NOT EXISTS job (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, datastore_id TEXT NOT NULL,
  name TEXT, client_token TEXT, role_arn TEXT NOT NULL, input_uri TEXT NOT NULL, output_uri TEXT NOT NULL,
  status TEXT NOT NULL, submitted REAL NOT NULL, ended REAL, message TEXT,
  UNIQUE (datastore_id, client_token));

CREATE TABLE IF NOT EXISTS job_file (
  job_id TEXT NOT NULL, path BLOB NOT NULL, outcome TEXT NOT NULL, instance_uid TEXT, image_set_id TEXT,
  version INTEGER, is_primary INTEGER, message TEXT,
  PRIMARY KEY (job_id, path)) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS image_set (
  id TEXT PRIMARY KEY, datastore_id TEXT NOT NULL, study_uid TEXT NOT NULL, series_uid TEXT NOT NULL,
  study_key TEXT NOT NULL, series_key TEXT NOT NULL, is_primary INTEGER NOT NULL, version INTEGER NOT NULL,
  state TEXT NOT NULL, created REAL NOT NULL, updated REAL NOT NULL, deleted REAL, instances INTEGER NOT NULL,
  patient_id TEXT, accession_number TEXT, study_id TEXT, study_moment TEXT, tags TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS image_set_series ON image_set (datastore_id, study_uid, series_uid);
CREATE INDEX IF NOT EXISTS image_set_updated ON image_set (datastore_id, updated, id);
CREATE INDEX IF NOT EXISTS image_set_patient ON image_set (datastore_id, patient_id);
CREATE INDEX IF NOT EXISTS image_set_only_series ON image_set (datastore_id, series_uid);

CREATE TABLE IF NOT EXISTS image_set_version (
  image_set_id TEXT NOT NULL, version INTEGER NOT NULL, workflow TEXT NOT NULL, created REAL NOT NULL,
  updated REAL NOT NULL, metadata TEXT NOT NULL,
  PRIMARY KEY (image_set_id, version)) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS frame (
  image_set_id TEXT NOT NULL, frame_id TEXT NOT NULL, blob TEXT NOT NULL, offset INTEGER NOT NULL,
  length INTEGER NOT NULL, transfer_syntax_uid TEXT NOT NULL,
  PRIMARY KEY (image_set_id, frame_id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS frame_blob ON frame (blob);

CREATE TABLE IF NOT EXISTS ledger (
  datastore_id TEXT NOT NULL, path BLOB NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
  instance_uid TEXT NOT NULL, image_set_id TEXT NOT NULL, note TEXT,
  PRIMARY KEY (datastore_id, path)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS forced (
  image_set_id TEXT NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (image_set_id, version)) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS tag (
  arn TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (arn, key)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS ledger_instance ON ledger (datastore_id, instance_uid);
CREATE INDEX IF NOT EXISTS ledger_image_set ON ledger (image_set_id);
"""

Row = sqlite3.Row


class Catalogue:
    """One connection a thread; writers take turns."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._open: list[sqlite3.Connection] = []
        self.write_lock = threading.RLock()
        with self.write_lock:
            self._connection().executescript(_SCHEMA)

    def all(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """All rows of a query."""
        return self._connection().execute(sql, parameters).fetchall()

    def one(self, sql: str, parameters: Sequence[Any] = ()) -> Row | None:
        """The first row of a query, None when there is none."""
        row: Row | None = self._connection().execute(sql, parameters).fetchone()
        return row

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One write transaction: committed and on disk when the block ends, undone when it raises."""
        with self.write_lock:
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def close(self) -> None:
        """Close all threads' connections; only when no thread uses them any more."""
        while self._open:
            self._open.pop().close()

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            # Each thread keeps to its own connection; only `close` touches those of other threads.
            connection = sqlite3.connect(
                self._path, isolation_level=None, timeout=60, check_same_thread=False
            )
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            self._local.connection = connection
            self._open.append(connection)
        return connection
