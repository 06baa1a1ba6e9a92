"""Two gateways on machines of their own behind nginx, with one database and one memcached (issue 7)."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass
from http.client import HTTPSConnection
from pathlib import Path

import pytest
import requests
from sqlalchemy import create_engine, text

from dicomweb_gateway.imagesets.healthimaging import HealthImaging
from dicomweb_gateway.imagesets.import_jobs import ImportJobs
from dicomweb_gateway.index.migrate import head_revision, upgrade
from dicomweb_gateway.index.writer import IndexWriter
from dicomweb_gateway.workflow.samples import write_synthetic_series
from dicomweb_gateway.workflow.sync import Synchroniser
from tests.conftest import ROOT
from tests.databases import PrivateMariaDb, need_mariadb
from tests.shared.servers import CacheServer

from .exposed import Front, nginx_before
from .house import COMMAND, ROLE, answers, free_port, wait_for
from .load import frame_paths, load
from .machines import Machine, Network, network
from .running import NO_AWS

STUDIES = [f"1.2.826.0.1.3680043.10.1443.20{number}" for number in range(4)]
ACCEPT = {"Accept": "image/jphc, application/dicom+json"}
PUBLIC = "https://pacs.example.org"
REGION = "us-east-1"
CLIENTS = 5
BASE = "/aetitle"

NEXT = """
from alembic import op
from sqlalchemy import Column, Integer, String

revision, down_revision, branch_labels, depends_on = "{revision}", "{before}", None, None


def upgrade() -> None:
    op.create_table("gateway_next", Column("slot", Integer, primary_key=True))
    op.add_column("gateway_study", Column("next_note", String(64)))
    op.create_index("gateway_study_next_note", "gateway_study", ["next_note"])
"""


@dataclass
class Site:
    """Two machines, what they answer, by path, and the settings of commands."""

    folder: Path
    machines: tuple[Machine, Machine]
    wanted: dict[str, bytes]
    environment: dict[str, str]

    def front(self, name: str, options: tuple[str, ...] = ()) -> AbstractContextManager[Front]:
        """nginx before both."""
        return nginx_before(self.folder / name, *(one.place for one in self.machines), options=options)

    def run(self, *words: str, code: Path = ROOT) -> str:
        done = subprocess.run(
            [*COMMAND, *words],
            env={**self.environment, "PYTHONPATH": str(code)},
            cwd=code,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    need_mariadb()
    folder = tmp_path_factory.mktemp("site")
    with ExitStack() as stack:
        net = stack.enter_context(network())
        memcached = CacheServer("memcached", ("-l", net.address))
        stack.callback(memcached.kill)
        environment = {
            **os.environ,
            **NO_AWS,
            "DATABASE_URL": _database(folder, net, stack),
            "AHI_ENDPOINT": _emulator(folder, net, stack),
            "MEMCACHED_ADDRESS": f"{net.address}:{memcached.port}",
            "TRUSTED_PROXIES": net.address,
            "METRICS_FROM": net.address,
            "ALLOWED_HOSTS": "localhost",
            "PUBLIC_URL": PUBLIC,
            "AHI_REGION": REGION,
            "WEB_PROCESSES": "1",
            "FRAME_RATE_LIMIT": "0",
            "DATA_DIR": str(folder / "commands"),
        }
        machines = net.machine(folder, environment), net.machine(folder, environment)
        site = Site(folder, machines, {}, environment)
        upgrade(environment["DATABASE_URL"])
        with closing(IndexWriter(environment["DATABASE_URL"])) as writer:
            store = HealthImaging(environment["AHI_ENDPOINT"], REGION)
            (datastore_id,) = store.data_store_ids()
            Synchroniser(writer, store).data_store(datastore_id)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(Machine.start, machines))
        for machine in machines:
            stack.callback(machine.kill)
        base = f"http://{machines[0].place}"
        for study in STUDIES:
            site.wanted.update(frame_paths(base, f"{study}.1"))
            for path in (
                f"/aetitle/studies/{study}.1/metadata",
                f"/aetitle/studies?StudyInstanceUID={study}.1",
            ):
                site.wanted[path] = requests.get(f"{base}{path}", headers=ACCEPT, timeout=60).content
        yield site


def _database(folder: Path, net: Network, stack: ExitStack) -> str:
    server = PrivateMariaDb(folder / "mariadb")
    server.install()
    server.start(f"--bind-address=127.0.0.1,{net.address}")
    stack.callback(server.stop)
    engine = create_engine(server.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE DATABASE ahiindex"))
        connection.execute(text("CREATE USER 'gateway'@'%' IDENTIFIED BY 'p4ss'"))
        connection.execute(text("GRANT ALL ON ahiindex.* TO 'gateway'@'%'"))
    engine.dispose()
    return f"mysql+pymysql://gateway:p4ss@{net.address}:{server.port}/ahiindex"


def _emulator(folder: Path, net: Network, stack: ExitStack) -> str:
    for study in STUDIES:
        write_synthetic_series(folder / "in" / study, slices=8, size=128, root=study)
    port = free_port()
    command = [*COMMAND, "emulator", "--data", str(folder / "emulator"), "--log-level", "warning"]
    process = subprocess.Popen(
        [*command, "--host", net.address, "--port", str(port)], stdout=subprocess.DEVNULL
    )
    stack.callback(process.wait, 30)
    stack.callback(process.terminate)
    url = f"http://{net.address}:{port}"
    wait_for(lambda: answers(f"{url}/_emulator/health"))
    jobs = ImportJobs(url, REGION)
    store = jobs.ensure_data_store("site")
    job = jobs.start(store, f"{(folder / 'in').as_uri()}/", f"{folder.as_uri()}/", ROLE, "token-1")
    while not job.has_ended:
        time.sleep(0.1)
        job = jobs.look(job)
    return url


def clients_of(front: Front) -> Callable[[int], HTTPSConnection]:
    return lambda number: front.connect(f"127.0.0.{10 + number}")


def test_a_killed_machine_costs_what_it_had_under_way(site: Site) -> None:
    one, other = site.machines
    with site.front("kill") as front, load(clients_of(front), site.wanted, CLIENTS, ACCEPT) as tally:
        wait_for(lambda: tally.asked > 100)
        assert min(one.requests_below(BASE), other.requests_below(BASE)) > 20
        one.kill()
        asked = tally.asked
        wait_for(lambda: tally.asked > asked + 150)
        one.start()
        # a machine that is back is asked again
        wait_for(lambda: one.requests_below(BASE) > 20)
    failed = tally.failures.total() + sum(n for status, n in tally.statuses.items() if status != 200)
    again = sum(", " in line for line in front.log.read_text().splitlines())
    print(f"kill -9 of a machine: {tally.asked} requests, {again} asked of the other one, {failed} failed")
    assert tally.wrong == 0
    # of each client one at most was under way
    assert failed <= CLIENTS
    assert again > 0


class Homes:
    """Requests one after the other, and which machines nginx has asked for each."""

    def __init__(self, front: Front, wanted: dict[str, bytes]) -> None:
        self._front = front
        self._wanted = wanted
        self._connection = front.connect()
        self._read = 0

    def asked(self, paths: list[str]) -> list[str]:
        """The machines of each request, as nginx logs them; what is known must come as it is known."""
        for path in paths:
            self._connection.request("GET", path, headers=ACCEPT)
            answer = self._connection.getresponse()
            body = answer.read()
            assert body == self._wanted.get(path, body)
        self._read += len(paths)
        wait_for(lambda: len(self._lines()) >= self._read)
        return [line.split(" ", 6)[-1] for line in self._lines()[self._read - len(paths) :]]

    def of_studies(self) -> dict[str, set[str]]:
        """By study the machines that its requests were for."""
        below = {
            study: [path for path in self._wanted if f"/studies/{study}.1/" in path] for study in STUDIES
        }
        return {study: set(self.asked(paths)) for study, paths in below.items()}

    def close(self) -> None:
        self._connection.close()

    def _lines(self) -> list[str]:
        return self._front.log.read_text().splitlines()


def test_each_study_is_asked_of_one_machine_and_moves_when_it_dies(site: Site) -> None:
    one, other = site.machines
    with site.front("hash", ("hash",)) as front, closing(Homes(front, site.wanted)) as homes:
        before = homes.of_studies()
        assert all(len(home) == 1 for home in before.values())
        assert homes.of_studies() == before
        nowhere = [f"/aetitle/studies/9.9.{number}/metadata" for number in range(40)]
        assert set(homes.asked(nowhere)) == {one.place, other.place}
        one.kill()
        for study, home in homes.of_studies().items():
            if before[study] == {other.place}:
                assert home == before[study]
            # asked first of the one that is dead, then not any more
            assert {machines.split(", ")[-1] for machines in home} == {other.place}
    one.start()


def test_an_upgrade_with_a_migration_fails_no_request(site: Site) -> None:
    one, other = site.machines
    newer = site.folder / "newer"
    head = head_revision()
    number = int(head[:4])
    revision = f"{number + 1:04}_from_{number:04}"
    leave = shutil.ignore_patterns("__pycache__")
    for name in ("dicomweb_gateway", "migrations"):
        shutil.copytree(ROOT / name, newer / name, ignore=leave)
    (newer / "migrations" / "versions" / f"{revision}.py").write_text(
        NEXT.format(revision=revision, before=head)
    )
    shutil.copy(ROOT / "pyproject.toml", newer)

    def moves(machine: Machine, code: Path) -> None:
        """End it, start what `code` holds, and wait until nginx asks it again."""
        assert machine.stop() == 0
        machine.start(code)
        wait_for(lambda: machine.requests_below(BASE) > 20)

    with site.front("upgrade") as front, load(clients_of(front), site.wanted, CLIENTS, ACCEPT) as tally:
        wait_for(lambda: tally.asked > 100)
        assert f"revision {revision}" in site.run("db", "upgrade", code=newer)
        asked = tally.asked
        wait_for(lambda: tally.asked > asked + 100)
        assert "this version serves it too" in site.run("db", "check")
        moves(one, newer)
        # a host of the older version that starts now, as one that an autoscaler adds
        moves(other, ROOT)
        assert "this version serves it too" in other.log.read_text()
    assert not tally.failures
    assert (set(tally.statuses), tally.wrong) == ({200}, 0)
    print(f"upgrade with a migration: {tally.asked} requests over 2 restarts, 0 failed")
