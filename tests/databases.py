"""Databases for tests: a private MariaDB of the session, and new, empty databases on it or in SQLite files.

The server lives in a temporary folder, listens on loopback only and is as careless about the disk as a test
may be. INDEX_TEST_SERVER, a SQLAlchemy URL without database whose user may create and drop databases, names
another MySQL or MariaDB server to use in its place. New databases get `utf8mb4_general_ci` on purpose: it
holds u and ü for equal and ignores trailing spaces, which nothing here may depend on.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import MetaData, NullPool, create_engine, select, text
from sqlalchemy.exc import OperationalError

from dicomweb_gateway.index.migrate import upgrade
from tests.aws_index.schema import STATEMENTS

STARTS_WITHIN = 60
"""Seconds that the server may take to answer; a loaded machine takes a few."""

_PLACES = "/usr/sbin:/usr/local/sbin:/usr/libexec:/usr/local/bin:/opt/homebrew/opt/mariadb/bin"
_CARELESS = (
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-flush-method=nosync",
    "--innodb-file-per-table=0",
    "--skip-innodb-doublewrite",
    "--innodb-buffer-pool-size=128M",
    "--skip-log-bin",
    "--skip-name-resolve",
)


def find_program(name: str) -> str | None:
    """Where `name` lies, also in folders that are on the administrator's path only."""
    return shutil.which(name) or shutil.which(name, path=_PLACES)


class PrivateMariaDb:
    """A MariaDB server in `folder` that no other program uses; it keeps its port over restarts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]

    @property
    def url(self) -> str:
        """SQLAlchemy URL of its administrator, without a database."""
        return f"mysql+pymysql://root@127.0.0.1:{self.port}"

    def install(self) -> None:
        """Make the empty data directory."""
        self._temporary.mkdir(parents=True, exist_ok=True)
        program = find_program("mariadb-install-db")
        assert program is not None, "mariadb-install-db is missing beside mariadbd"
        flags = ["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]
        with (self._folder / "install.log").open("wb") as log:
            command = [program, "--no-defaults", *self._user(), *self._places(), *flags]
            done = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False)
        assert done.returncode == 0, (self._folder / "install.log").read_text(errors="replace")

    def start(self, *options: str) -> None:
        """Start the server, with further mariadbd options, and wait until it answers."""
        program = find_program("mariadbd")
        assert program is not None
        command = [
            *(program, "--no-defaults", *self._user(), *self._places()),
            *("--socket=socket", f"--pid-file={self._folder / 'pid'}"),
            *("--bind-address=127.0.0.1", f"--port={self.port}", *_CARELESS, *options),
        ]
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        self._wait_until_it_answers()

    def stop(self) -> None:
        """Shut down in order."""
        self._end(subprocess.Popen.terminate)

    def kill(self) -> None:
        """End at once, as a crash does."""
        self._end(subprocess.Popen.kill)

    def _end(self, how: Callable[[subprocess.Popen[bytes]], None]) -> None:
        if self._process is not None:
            how(self._process)
            self._process.wait(60)
            self._process = None

    def _wait_until_it_answers(self) -> None:
        assert self._process is not None
        engine = create_engine(self.url)
        last = time.monotonic() + STARTS_WITHIN
        while True:
            try:
                with engine.connect():
                    break
            except OperationalError:
                log = (self._folder / "server.log").read_text(errors="replace")
                assert self._process.poll() is None, log
                assert time.monotonic() < last, log
                time.sleep(0.05)
        engine.dispose()

    @property
    def _temporary(self) -> Path:
        return self._folder / "tmp"

    def _places(self) -> list[str]:
        # Two servers that share a folder for temporary tables, as /tmp, may take each other's away.
        return [f"--datadir={self._folder / 'data'}", f"--tmpdir={self._temporary}"]

    @staticmethod
    def _user() -> list[str]:
        return ["--user=root"] if os.geteuid() == 0 else []


def need_mariadb() -> None:
    """Skip the test where the machine has no MariaDB; in CI that is a failure."""
    if find_program("mariadbd") is None:
        reason = "no mariadbd on this machine (install mariadb-server, or set INDEX_TEST_SERVER)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


def on_server(server: str, statement: str) -> None:
    """Run one statement outside any database."""
    engine = create_engine(server)
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def new_database(server: str) -> tuple[str, str]:
    """Name and SQLAlchemy URL of a new, empty database of an awkward default collation."""
    name = f"test_{uuid4().hex}"
    on_server(server, f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
    return name, f"{server}/{name}?charset=utf8mb4"


_COUNTED = (
    "SELECT table_name FROM information_schema.tables WHERE table_schema = database() AND auto_increment > 1"
)


class EmptiedDatabase:
    """One database of the newest revision on a server, which is as new each time that it is asked for.

    Emptying it takes milliseconds, migrating a new one some hundred times as long.
    """

    def __init__(self, server: str) -> None:
        self._server = server
        self._name, self._url = new_database(server)
        upgrade(self._url)
        self._engine = create_engine(self._url, poolclass=NullPool)
        self._tables = MetaData()
        self._tables.reflect(self._engine)
        with self._engine.connect() as connection:
            found = {
                table: connection.execute(select(table)).mappings().all()
                for table in self._tables.tables.values()
            }
        self._first = {table: [dict(row) for row in rows] for table, rows in found.items() if rows}

    def url(self) -> str:
        """Its SQLAlchemy URL, after it has been emptied of all but what the migrations wrote."""
        with self._engine.begin() as connection:
            connection.execute(text("SET FOREIGN_KEY_CHECKS=0"))
            for table in self._tables.tables.values():
                connection.execute(table.delete())
            for name in connection.execute(text(_COUNTED)).scalars().all():
                connection.execute(text(f"ALTER TABLE {name} AUTO_INCREMENT = 1"))
            for table, rows in self._first.items():
                connection.execute(table.insert(), rows)
            connection.execute(text("SET FOREIGN_KEY_CHECKS=1"))
        return self._url

    def drop(self) -> None:
        """Remove it."""
        drop_database(self._server, self._name)


def new_aws_database(server: str) -> tuple[str, str]:
    """The same with the empty schema `ahiindex`, as the AWS project makes it."""
    name, url = new_database(server)
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in STATEMENTS:
            connection.execute(text(statement))
    engine.dispose()
    return name, url


def drop_database(server: str, name: str) -> None:
    """Remove a database that `new_database` made."""
    on_server(server, f"DROP DATABASE {name}")
