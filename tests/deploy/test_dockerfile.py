"""The Dockerfile: its rules, and its steps run in a folder in the place of an image's root."""

import json
import os
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.deploy.recipes import (
    DEPLOY,
    ROOT,
    command_of,
    dockerfile_steps,
    image_environment,
    image_health_check,
    replaced,
    start,
    stop,
)
from tests.e2e.house import free_port, wait_for

STEPS = dockerfile_steps()
LAST = STEPS[-1].stage
USERS = ("groupadd", "useradd")


def of(word: str, stage: int = LAST) -> list[str]:
    return [step.rest for step in STEPS if step.stage == stage and step.word == word]


def test_the_image_is_pinned_small_and_not_root() -> None:
    for stage in range(LAST + 1):
        image = of("FROM", stage)[0].split()[0]
        assert re.fullmatch(r"python:3\.\d+-slim-\w+", image)
    user = of("USER")[-1]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert f"--uid {user.partition(':')[0]} " in " ".join(of("RUN"))
    # what builds stays in the first stage
    assert all("pip" not in run for run in of("RUN"))


def test_commands_are_lists_so_that_signals_reach_the_master() -> None:
    assert json.loads(of("ENTRYPOINT")[-1]) == ["dicomweb-gateway"]
    assert json.loads(of("CMD")[-1]) == ["serve"]
    assert of("STOPSIGNAL") == ["SIGTERM"]
    assert "/healthcheck" in " ".join(image_health_check())


def test_only_what_the_build_needs_gets_into_the_context() -> None:
    lines = (DEPLOY / "Dockerfile.dockerignore").read_text().split()
    assert lines[0] == "*"
    let_in = [line[1:] for line in lines if line.startswith("!")]
    needed = ["pyproject.toml", "README.md", "LICENSE", "dicomweb_gateway", "migrations"]
    assert set(needed) <= set(let_in)
    assert not any(fnmatch(name, pattern) for name in (".git", "tests", ".venv") for pattern in let_in)


def copied_context(folder: Path) -> None:
    """What `COPY . .` copies."""
    for name in (DEPLOY / "Dockerfile.dockerignore").read_text().split():
        source = ROOT / name[1:]
        if not name.startswith("!") or not source.exists():
            continue
        target = folder / name[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The folder and the paths in it, after all steps but those that make users."""
    root = tmp_path_factory.mktemp("image")
    source = root / "src"
    source.mkdir()
    paths = {f"/{name}": f"{root}/{name}" for name in ("opt/", "src", "var/")}
    # the image has one `python`; here it is the one of the tests
    programs = root / "programs"
    programs.mkdir()
    (programs / "python").symlink_to(sys.executable)
    for name in USERS:
        (programs / name).write_text(f'#!/bin/sh\necho {name} "$@" >> {root}/users\n')
        (programs / name).chmod(0o755)
    (programs / "install").write_text('#!/bin/sh\nexec /usr/bin/install "$1" "$2" "$3" "$8" "$9"\n')
    (programs / "install").chmod(0o755)
    copied_context(source)
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    environment.pop("PYTHONPATH", None)
    # half of the time that pip takes is for bytecode, which Python makes of what is used
    environment["PIP_NO_COMPILE"] = "1"
    for step in STEPS:
        if step.word != "RUN":
            continue
        done = subprocess.run(
            ["sh", "-ec", replaced(step.rest, paths)],
            cwd=source,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if "pip install" in step.rest and re.search(r"connection|resolv|timed out", done.stderr, re.I):
            pytest.skip("no package registry to be reached")
        assert done.returncode == 0, done.stderr
    return root, paths


def test_the_image_serves_and_its_health_check_sees_it(
    built: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    root, paths = built
    assert len((root / "users").read_text().splitlines()) == len(USERS)
    port = free_port()
    given = {name: replaced(value, paths) for name, value in image_environment().items()}
    assert set(given) >= {"PATH", "DATA_DIR", "CACHE_ROOT"}
    environment = {**given, "PORT": str(port), "PYTHONPATH": "", "AWS_EC2_METADATA_DISABLED": "true"}
    environment |= {"AHI_ENDPOINT": "http://127.0.0.1:1", "AHI_REGION": "us-east-1", "HOME": str(tmp_path)}
    program = str(root / "opt" / "dicomweb-gateway" / "bin" / json.loads(of("ENTRYPOINT")[-1])[0])
    log = tmp_path / "log"
    process = start([program, *json.loads(of("CMD")[-1])], environment, log, tmp_path)

    def is_healthy() -> bool:
        assert process.poll() is None, log.read_text()
        check = command_of(image_health_check())
        return subprocess.run(check, env=environment, capture_output=True, check=False).returncode == 0

    try:
        wait_for(is_healthy)
    finally:
        assert stop(process) == 0
    assert (root / "var" / "lib" / "dicomweb-gateway" / "index.sqlite").exists()
    assert f"listening on 127.0.0.1:{port}" in log.read_text()
