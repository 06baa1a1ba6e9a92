import stat
import subprocess
import sys

import pytest
from sqlalchemy import select, text

from dicomweb_gateway.errors import IndexUnavailable
from dicomweb_gateway.index.engine import index_errors, make_engine, reading
from dicomweb_gateway.index.reader import IndexReader
from dicomweb_gateway.index.tables import study


def test_making_an_engine_connects_to_nothing(tmp_path):
    make_engine(f"sqlite:///{tmp_path}/deep/index.db")
    assert (tmp_path / "deep").is_dir()
    assert not (tmp_path / "deep" / "index.db").exists()


def test_an_index_on_disk_is_its_owners_alone(tmp_path):
    file = tmp_path / "new" / "index.db"
    engine = make_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE a (b)"))
        modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in file.parent.iterdir()}
    engine.dispose()
    assert modes == {"index.db": 0o600, "index.db-wal": 0o600, "index.db-shm": 0o600}
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_sqlite_is_set_up(sqlite_only, engine):
    with reading(engine) as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
        assert connection.execute(text("SELECT 'A' LIKE 'a'")).scalar() == 0


def test_a_missing_schema_is_unavailable(tmp_path):
    engine = make_engine(f"sqlite:///{tmp_path}/empty.db")
    with pytest.raises(IndexUnavailable, match="does not answer"):
        IndexReader(engine).ping()
    engine.dispose()


def test_a_server_that_is_not_there_is_unavailable():
    engine = make_engine("mysql+pymysql://nobody:secret@127.0.0.1:1/index")
    with pytest.raises(IndexUnavailable) as caught:
        IndexReader(engine).ping()
    assert "secret" not in str(caught.value)


def test_other_errors_pass():
    with pytest.raises(ZeroDivisionError), index_errors():
        raise ZeroDivisionError


def test_readers_do_not_wait_for_a_writer(sqlite_only, engine):
    with engine.execution_options(sqlite_start="BEGIN IMMEDIATE").begin() as writer:
        writer.execute(text("INSERT INTO imagetype (type) VALUES ('x')"))
        with reading(engine) as connection:
            assert connection.execute(select(study)).all() == []
            assert connection.execute(text("SELECT count(*) FROM imagetype")).scalar() == 0


def test_the_tables_compile_for_mysql():
    """Text keys of indexed columns have lengths, reserved words are quoted, times keep their fractions."""
    code = (
        "from sqlalchemy.dialects import mysql; from sqlalchemy.schema import CreateTable, CreateIndex;"
        "from dicomweb_gateway.index import side_tables, tables;"
        "d = mysql.dialect();"
        "[print(CreateTable(t).compile(dialect=d)) for t in tables.metadata.sorted_tables];"
        "[print(CreateIndex(i).compile(dialect=d)) for t in tables.metadata.sorted_tables for i in t.indexes]"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "`rows` INTEGER" in done.stdout
    assert "studytime TIME(6)" in done.stdout
    assert "COLLATE utf8mb4_bin" in done.stdout
