"""Searches an index of N studies on a private MariaDB through a real `serve`, beside the bare SQL of it.

Run by hand: `python -m tests.benchmarks.qido_scale [--studies N] [--rounds R] [--keep FOLDER] [--explain]`.
Prints p50 and p95 in ms of every query shape through HTTP, of its SQL statements alone just after, and the
ratio of the same request asked once more to them. `--keep` keeps the filled database for the next run.
"""

import argparse
import http.client
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pymysql
from pymysql.cursors import DictCursor
from sqlalchemy import Engine, event
from sqlalchemy.engine import make_url

from dicomweb_gateway.index.engine import make_engine
from dicomweb_gateway.index.index_search import IndexSearch
from dicomweb_gateway.index.migrate import upgrade
from dicomweb_gateway.index.seen import LAG, look_on
from dicomweb_gateway.qido.parse import parse_query
from tests.benchmarks import qido_fill as filled
from tests.databases import PrivateMariaDb, on_server

_POOL = "--innodb-buffer-pool-size=2G"
MAX_RESULTS = 5000


@dataclass(frozen=True)
class Shape:
    """One kind of query: `make` gives the query string of a round; `target` is the p95 to reach in ms."""

    name: str
    make: Callable[[random.Random], str]
    target: float | None = None
    level: str = "studies"
    phonetic: bool = False


def shapes(studies: int) -> list[Shape]:
    def any_study(chance: random.Random) -> int:
        return chance.randint(1, studies)

    def week(chance: random.Random) -> str:
        first = filled.LAST_DAY - timedelta(days=chance.randrange(10, filled.DAYS))
        return f"StudyDate={first:%Y%m%d}-{first + timedelta(days=6):%Y%m%d}"

    def years(chance: random.Random) -> str:
        return f"StudyDate=20{chance.randint(14, 24)}0101-20{chance.randint(24, 26)}1231"

    def name(chance: random.Random) -> str:
        return filled.patient_name(filled.patient_of(any_study(chance))).partition("^")[0]

    def patient(chance: random.Random) -> str:
        return filled.patient_id(filled.patient_of(any_study(chance)))

    def born(chance: random.Random) -> str:
        return f"{filled.birth_date(filled.patient_of(any_study(chance))):%Y%m%d}"

    def begin(chance: random.Random) -> str:
        return quote(filled.description(any_study(chance)))

    page = "limit=50"
    return [
        Shape("PatientID", lambda c: f"PatientID={patient(c)}", 10),
        Shape("AccessionNumber", lambda c: f"AccessionNumber={filled.accession(any_study(c))}", 10),
        Shape("StudyInstanceUID", lambda c: f"StudyInstanceUID={filled.study_uid(any_study(c))}", 10),
        Shape("PatientName prefix, rare", lambda c: f"PatientName={quote(name(c)[:-1])}*&{page}", 50),
        Shape("PatientName prefix, common", lambda c: f"PatientName={quote(name(c)[:3])}*&{page}", 50),
        Shape("StudyDate week", lambda c: f"{week(c)}&{page}", 50),
        Shape("StudyDate years", lambda c: f"{years(c)}&{page}", 50),
        Shape("Modality CT", lambda c: f"ModalitiesInStudy=CT&{page}", 50),
        Shape("Modality rare", lambda c: f"ModalitiesInStudy={filled.RARE}&{page}", 50),
        Shape("Modality absent", lambda c: f"ModalitiesInStudy=ZZ&{page}", 50),
        Shape("Modality CT and week", lambda c: f"ModalitiesInStudy=CT&{week(c)}&{page}", 50),
        Shape("Modality rare and week", lambda c: f"ModalitiesInStudy={filled.RARE}&{week(c)}&{page}", 50),
        Shape("first page", lambda c: page, 50),
        Shape("offset 5000", lambda c: f"{page}&offset=5000", 50),
        Shape("offset 90%", lambda c: f"{page}&offset={studies * 9 // 10}"),
        Shape("PatientName *infix*", lambda c: f"PatientName=*{quote(name(c)[1:6])}*&{page}", 500),
        Shape("fuzzy name", lambda c: f"PatientName={quote(name(c)[:6])}&fuzzymatching=true&{page}"),
        Shape("includefield=all", lambda c: f"includefield=all&{page}&offset={c.randrange(0, 1000)}", 60),
        Shape("StudyID", lambda c: f"StudyID={filled.study_id(any_study(c))}&{page}"),
        Shape("PatientBirthDate", lambda c: f"PatientBirthDate={born(c)}&{page}"),
        Shape("StudyDescription prefix", lambda c: f"StudyDescription={begin(c)}*&{page}"),
        Shape("series, first page", lambda c: page, None, "series"),
        Shape("series by Modality", lambda c: f"Modality=MR&{page}", None, "series"),
        Shape("series, rare Modality", lambda c: f"Modality={filled.RARE}&{page}", None, "series"),
    ]  # fmt: skip


def sounding_shapes(studies: int) -> list[Shape]:
    """Names by their sounds too, as FUZZY_PHONETIC has them; not asked over HTTP."""

    def words(chance: random.Random) -> list[str]:
        name = filled.patient_name(filled.patient_of(chance.randint(1, studies)))
        return [word.rstrip("0123456789") for word in name.split("^")]

    fuzzy = "fuzzymatching=true&limit=50"
    return [
        Shape("sounds, one word", lambda c: f"PatientName={quote(words(c)[0])}&{fuzzy}", phonetic=True),
        Shape("sounds, common word", lambda c: f"PatientName={quote(words(c)[1])}&{fuzzy}", phonetic=True),
        Shape("sounds, two words", lambda c: f"PatientName={'^'.join(words(c))}&{fuzzy}", phonetic=True),
    ]  # fmt: skip


class Gateway:
    """A `serve` process on the database at `url`; HealthImaging is not there and not needed."""

    def __init__(self, url: str, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        environment = {
            **os.environ, "DATABASE_URL": url, "AHI_ENDPOINT": "http://127.0.0.1:9", "PORT": str(self.port),
            "DATA_DIR": str(folder / "data"), "CACHE_MAX_BYTES": "100000000",
        }  # fmt: skip
        command = [sys.executable, "-m", "dicomweb_gateway", "serve"]
        with (folder / "serve.log").open("wb") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        until = time.monotonic() + 60
        while not self._answers():
            if time.monotonic() > until or self.process.poll() is not None:
                raise SystemExit((folder / "serve.log").read_text())
            time.sleep(0.1)
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def get(self, level: str, query: str) -> tuple[float, int, int]:
        """(ms, status, bytes) of one search."""
        began = time.perf_counter()
        self.connection.request(
            "GET", f"/aetitle/{level}?{query}", headers={"Accept": "application/dicom+json"}
        )
        answer = self.connection.getresponse()
        size = len(answer.read())
        return (time.perf_counter() - began) * 1000, answer.status, size

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


class BareSql:
    """The statements of a search, as the gateway's own code makes them, run again without it."""

    def __init__(self, url: str) -> None:
        self.engine: Engine = make_engine(url, pool_size=1)
        self.search = IndexSearch(self.engine, trust_seconds=3600)
        # what a process asks only once is asked before
        self.search(parse_query("study", [("PatientName", "x"), ("limit", "1")]))
        self.said: list[tuple[str, Any]] = []
        event.listen(self.engine, "after_cursor_execute", self._hear)
        target = make_url(url)
        self.connection = pymysql.connect(
            host=target.host, port=target.port or 3306, user=target.username or "root",
            password=target.password or "", database=target.database, autocommit=True, charset="utf8mb4",
        )  # fmt: skip

    def _hear(self, _c: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        self.said.append((statement, parameters))

    def statements(self, level: str, query: str, phonetic: bool = False) -> list[tuple[str, Any]]:
        self.said.clear()
        items = [tuple(map(unquote, item.split("=", 1))) for item in query.split("&")]
        name = "study" if level == "studies" else "series"
        parsed = parse_query(name, items, max_results=MAX_RESULTS, phonetic=phonetic)  # type: ignore[arg-type]
        self.search(parsed)
        return [one for one in self.said if one[0].lstrip().upper().startswith("SELECT")]

    def time(self, statements: list[tuple[str, Any]]) -> float:
        began = time.perf_counter()
        with self.connection.cursor() as cursor:
            for statement, parameters in statements:
                cursor.execute(statement, parameters)
                cursor.fetchall()
        return (time.perf_counter() - began) * 1000

    def close(self) -> None:
        """Hang up."""
        self.engine.dispose()
        self.connection.close()

    def explained(self, statements: list[tuple[str, Any]]) -> list[dict[str, str | None]]:
        """EXPLAIN's lines: `select_type`, `table`, `type`, `key`, `rows`, `Extra` and so on."""
        lines: list[dict[str, str | None]] = []
        with self.connection.cursor(DictCursor) as cursor:
            for statement, parameters in statements:
                cursor.execute(f"EXPLAIN {statement}", parameters)
                lines += cursor.fetchall()
        return lines


@dataclass(frozen=True)
class Timed:
    """Milliseconds of one query: over HTTP, as SQL alone just after, over HTTP once more; bytes answered."""

    query: str
    statements: list[tuple[str, Any]]
    http: float
    sql: float
    warm: float
    size: int


def timed(gateway: Gateway, bare: BareSql, shape: Shape, rounds: int) -> list[Timed]:
    """So many queries of the shape, after two that are not counted; SystemExit when one fails."""
    chance = random.Random(shape.name)
    found = []
    for _ in range(rounds + 2):
        query = shape.make(chance)
        took, status, size = gateway.get(shape.level, query)
        if status not in (200, 204):
            raise SystemExit(f"{query}: {status}")
        statements = bare.statements(shape.level, query)
        alone = bare.time(statements)
        found.append(Timed(query, statements, took, alone, gateway.get(shape.level, query)[0], size))
    return found[2:]


def measure(
    url: str, studies: int, rounds: int, explain: bool, folder: Path, only: str, skip: str | None
) -> None:
    gateway, bare = Gateway(url, folder), BareSql(url)
    print(f"\n{studies} studies, {3 * studies} series; ms, {rounds} rounds each")
    print(f"{'shape':28} {'HTTP p50':>9} {'p95':>8} {'SQL p50':>9} {'p95':>8} {'ratio':>6} {'KB':>5}  target")
    try:
        for shape in shapes(studies):
            if only in shape.name and (skip is None or skip not in shape.name):
                _print_shape(shape, timed(gateway, bare, shape, rounds), bare if explain else None)
        if not only:
            print(f"study list of 50, 8 connections: {throughput(gateway.port):.0f} answers/s")
    finally:
        gateway.stop()
        bare.close()


def _print_shape(shape: Shape, found: list[Timed], explainer: BareSql | None) -> None:
    p50, p95 = _quantiles([one.http for one in found])
    bare50, bare95 = _quantiles([one.sql for one in found])
    kept = "ok" if shape.target is None or p95 <= shape.target else "MISSED"
    verdict = "" if shape.target is None else f"<= {shape.target:g} {kept}"
    ratio = statistics.median(one.warm / one.sql for one in found)
    print(
        f"{shape.name:28} {p50:9.1f} {p95:8.1f} {bare50:9.1f} {bare95:8.1f} {ratio:6.2f} "
        f"{found[-1].size / 1024:5.0f}  {verdict}",
        flush=True,
    )
    if explainer is not None:
        print(f"    {found[-1].query}")
        for line in explainer.explained(found[-1].statements):
            print("   ", *("-" if value is None else value for value in line.values()))


def throughput(port: int, connections: int = 8, seconds: float = 5) -> float:
    """Answers a second of the unfiltered first page."""
    done = [0] * connections
    until = time.monotonic() + seconds

    def ask(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while time.monotonic() < until:
            connection.request("GET", "/aetitle/studies?limit=50")
            connection.getresponse().read()
            done[number] += 1
        connection.close()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / seconds


def _quantiles(values: list[float]) -> tuple[float, float]:
    ordered = sorted(values)
    return statistics.median(ordered), ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]


INDEXES = """gateway: filled by our indexer; lambda: by the AWS Lambda alone, then `db upgrade`;
select-only: by the Lambda alone, nothing added, and a user who may only read"""


def prepared(server: str, folder: Path, studies: int, index: str) -> str:
    """The URL of such a database, made and filled unless `folder` has it from an earlier run."""
    name = f"{index.replace('-', '_')}_{studies}"
    url = f"{server}/{name}?charset=utf8mb4"
    marker = folder / f"{name}.filled"
    began = time.monotonic()
    if not marker.exists():
        on_server(server, f"DROP DATABASE IF EXISTS {name}")
        on_server(server, f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        filled.fill(url, studies, by_lambda=index != "gateway")
        marker.touch()
        print(f"filled {name} in {time.monotonic() - began:.0f} s", flush=True)
    if index == "select-only":
        on_server(server, "CREATE USER IF NOT EXISTS proxy@'%' IDENTIFIED BY 'reads'")
        on_server(server, f"GRANT SELECT, SHOW VIEW ON {name}.* TO proxy@'%'")
        return url.replace("root@", "proxy:reads@", 1)
    began = time.monotonic()
    upgrade(url)
    print(f"db upgrade: {time.monotonic() - began:.0f} s", flush=True)
    engine = make_engine(url, pool_size=1)
    # a service is as far after some seconds
    while look_on(engine):
        time.sleep(LAG.total_seconds())
    engine.dispose()
    return url


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--studies", type=int, nargs="*", default=[10_000])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--keep", type=Path)
    parser.add_argument(
        "--index", choices=["gateway", "lambda", "select-only"], default="gateway", help=INDEXES
    )
    parser.add_argument("--explain", action="store_true")
    parser.add_argument("--skip", help="shapes whose name contains this are left out")
    parser.add_argument("--only", default="", help="shapes whose name contains this")
    options = parser.parse_args()
    folder = options.keep or Path(tempfile.mkdtemp(prefix="qido-scale-"))
    with running_server(folder) as server:
        for studies in options.studies:
            url = prepared(server, folder, studies, options.index)
            if options.rounds:
                measure(url, studies, options.rounds, options.explain, folder, options.only, options.skip)
    if options.keep is None:
        shutil.rmtree(folder)


@contextmanager
def running_server(folder: Path) -> Iterator[str]:
    """The URL of a private MariaDB whose data lie in `folder`, and stay there."""
    server = PrivateMariaDb(folder / "server")
    if not (folder / "server" / "data").exists():
        server.install()
    server.start(_POOL, "--local-infile=1")
    try:
        yield server.url
    finally:
        server.stop()


if __name__ == "__main__":
    main()
