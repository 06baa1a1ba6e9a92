"""The services of docker-compose.yml, run by hand with the commands and the environment that stand there."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from dicomweb_gateway.settings import Settings
from tests.databases import find_program
from tests.deploy.recipes import (
    DEPLOY,
    ROOT,
    command_of,
    compose_services,
    dockerfile_steps,
    image_environment,
    image_health_check,
    replaced,
    start,
    stop,
)
from tests.e2e.house import answers, free_port, wait_for
from tests.sqs import Queue, aws_server  # noqa: F401  (a fixture)
from tests.web.ohif_files import write_ohif

SERVICES = compose_services()
OURS = {name for name, service in SERVICES.items() if service.get("image") == "dicomweb-gateway:local"}


def environment_of(service: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in service.get("environment", {}).items()}


def test_every_variable_is_a_setting() -> None:
    names = {name for service in OURS for name in environment_of(SERVICES[service])}
    assert {n.lower() for n in names if not n.startswith("AWS_")} <= set(Settings.model_fields)


def test_our_services_are_hardened_and_nothing_is_published_to_others() -> None:
    for name in OURS:
        service = SERVICES[name]
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["build"] == {"context": "..", "dockerfile": "deploy/Dockerfile"}
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_what_is_mounted_and_waited_for_is_there() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert not source.startswith("./") or (DEPLOY / source).exists(), source
        assert set(service.get("depends_on", ())) <= set(SERVICES)
        assert all(":" in image for image in [service["image"]])


class Machine:
    """The services as processes; every name and path of a container leads to this machine."""

    def __init__(self, folder: Path, database: str, queue: str) -> None:
        self.folder = folder
        self.ports = {name: free_port() for name in ("healthimaging", "gateway", "nginx")}
        ohif = write_ohif(folder / "ohif" / "package")
        self.changes = {
            "@db:3306": f"@{database}",
            "http://healthimaging:8090": f"http://127.0.0.1:{self.ports['healthimaging']}",
            "http://127.0.0.1:8090": f"http://127.0.0.1:{self.ports['healthimaging']}",
            "http://queue:9324/000000000000/healthimaging-events": queue,
            "gateway:8080": f"127.0.0.1:{self.ports['gateway']}",
            "/etc/nginx/nginx.conf": str(folder / "nginx.conf"),
            "/load.py": str(DEPLOY / "compose" / "load.py"),
            "/dicom,": f"{DEPLOY / 'compose' / 'dicom'},",
            "/ohif/package": str(ohif),
        }
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def begin(self, name: str) -> subprocess.Popen[bytes]:
        """Start the service."""
        service = SERVICES[name]
        home = self.folder / ("healthimaging" if name in ("healthimaging", "import") else name)
        home.mkdir(exist_ok=True)
        paths = {
            **self.changes,
            "/var/lib/dicomweb-gateway": str(home),
            "/var/cache/dicomweb-gateway": str(self.folder / "cache"),
        }
        entry = ["dicomweb-gateway"] if name in OURS else []
        words = [*service.get("entrypoint", entry), *service.get("command", [])]
        command = [replaced(f"{word},", paths).removesuffix(",") for word in words]
        if name in self.ports and "--port" in command:
            command[command.index("--port") + 1] = str(self.ports[name])
        variables = {**(image_environment() if name in OURS else {}), **environment_of(service)}
        variables.pop("PATH", None)
        made = {key: replaced(value, paths) for key, value in variables.items()}
        if name == "gateway":
            made["PORT"] = str(self.ports["gateway"])
        process = start(command_of(command), made, self.folder / f"{name}.log", home)
        self.running[name] = process
        return process

    def complete(self, name: str) -> None:
        """Run the service to its end."""
        assert self.begin(name).wait(120) == 0, self.log(name)
        del self.running[name]

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def healthy(self, name: str, check: list[str]) -> None:
        """Wait until the service's own health check says so."""
        variables = {"PORT": str(self.ports[name])}
        command = [replaced(word, self.changes) for word in command_of(check)]

        def passes() -> bool:
            assert self.running[name].poll() is None, self.log(name)
            return subprocess.run(command, env=variables, capture_output=True, check=False).returncode == 0

        wait_for(passes)


@pytest.fixture(scope="module")
def database(mariadb_server: str) -> Iterator[str]:
    """`host:port` of a server with the database and the user of the service `db`."""
    given = environment_of(SERVICES["db"])
    name, user, password = (given[f"MARIADB_{what}"] for what in ("DATABASE", "USER", "PASSWORD"))
    engine = create_engine(mariadb_server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in (
            f"CREATE DATABASE `{name}`",
            f"CREATE USER '{user}'@'%' IDENTIFIED BY '{password}'",
            f"GRANT ALL ON `{name}`.* TO '{user}'@'%'",
        ):
            connection.execute(text(statement))
    url = make_url(mariadb_server)
    yield f"{url.host}:{url.port}"
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE `{name}`"))
        connection.execute(text(f"DROP USER '{user}'@'%'"))
    engine.dispose()


@pytest.fixture(scope="module")
def machine(
    database: str,
    aws_server: str,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Machine]:
    nginx = find_program("nginx")
    if nginx is None:
        pytest.skip("no nginx on this machine")
    folder = tmp_path_factory.mktemp("compose")
    keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any", "region_name": "us-east-1"}
    client = boto3.client("sqs", endpoint_url=aws_server, **keys)
    queue = Queue(client, aws_server, "healthimaging-events")
    queue.close()
    machine = Machine(folder, database, queue.url)
    try:
        machine.begin("healthimaging")
        machine.healthy("healthimaging", SERVICES["healthimaging"]["healthcheck"]["test"][1:])
        for name in ("schema", "import", "index"):
            machine.complete(name)
        machine.begin("index-watch")
        machine.begin("gateway")
        machine.healthy("gateway", image_health_check())
        config = replaced((DEPLOY / "compose" / "nginx.conf").read_text(), machine.changes)
        config = config.replace("listen 8080", f"listen 127.0.0.1:{machine.ports['nginx']}")
        config = config.replace("/dev/stdout", str(folder / "access.log")).replace("/dev/stderr", "stderr")
        (folder / "nginx.conf").write_text(f"pid {folder}/nginx.pid;\ndaemon off;\n{config}")
        machine.running["nginx"] = start(
            [nginx, "-c", str(folder / "nginx.conf"), "-p", str(folder)], {}, folder / "nginx.log", folder
        )
        # an address for a name: what no login protects answers to addresses too
        wait_for(lambda: answers(f"http://127.0.0.1:{machine.ports['nginx']}/healthcheck"))
        yield machine
        codes = {name: stop(process) for name, process in reversed(machine.running.items())}
        machine.running.clear()
        assert set(codes.values()) == {0}, codes
    finally:
        for process in machine.running.values():
            process.kill()
            process.wait()


def test_a_viewer_gets_everything_through_nginx(machine: Machine) -> None:
    root = f"http://127.0.0.1:{machine.ports['nginx']}"
    # the published port is another one here, and the name is the one that PUBLIC_URL has
    ask = {"headers": {"Host": "localhost:8080"}, "timeout": 30}
    wait_for(lambda: requests.get(f"{root}/health", **ask).text == "OK")
    (study,) = requests.get(f"{root}/aetitle/studies", **ask).json()
    assert study["00081190"]["Value"][0].startswith("http://localhost:8080/aetitle/studies/")
    uid = study["0020000D"]["Value"][0]
    instances = requests.get(f"{root}/aetitle/studies/{uid}/metadata", **ask).json()
    assert len(instances) == study["00201208"]["Value"][0] > 10
    one = instances[0]
    path = f"studies/{uid}/series/{one['0020000E']['Value'][0]}/instances/{one['00080018']['Value'][0]}"
    frame = requests.get(f"{root}/aetitle/{path}/frames/1", **ask)
    assert frame.status_code == 200
    assert len(frame.content) > 2 * one["00280010"]["Value"][0] * one["00280011"]["Value"][0]
    assert b"app-config.js" in requests.get(f"{root}/viewer", **ask).content
    assert b"http://localhost:8080/aetitle" in requests.get(f"{root}/viewer/app-config.js", **ask).content
    assert requests.get(f"{root}/health", headers={"Host": "evil.example"}, timeout=30).status_code == 400


def test_the_index_is_followed(machine: Machine) -> None:
    assert machine.running["index-watch"].poll() is None, machine.log("index-watch")
    assert "error" not in machine.log("index-watch").lower()


def test_no_patient_is_in_the_proxys_log(machine: Machine) -> None:
    log = (machine.folder / "access.log").read_text()
    assert log
    assert "1.2.826" not in log


def test_ohif_is_fetched_once(tmp_path: Path) -> None:
    write_ohif(tmp_path / "package")
    command = SERVICES["ohif"]["command"]
    assert subprocess.run(command, cwd=tmp_path, check=False, env={"PATH": "/usr/bin:/bin"}).returncode == 0
    assert "npm pack @ohif/app@" in command[-1]


def test_the_image_is_that_of_the_dockerfile() -> None:
    assert any(step.word == "ENTRYPOINT" for step in dockerfile_steps())
    assert (ROOT / "deploy" / "Dockerfile").exists()
    assert shutil.which("sh")
