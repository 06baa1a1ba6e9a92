"""What stands in the recipes of deploy/, and processes that are made of it on this machine."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


class Step(NamedTuple):
    """An instruction of a Dockerfile; `stage` counts from 0."""

    stage: int
    word: str
    rest: str


def dockerfile_steps(path: Path = DEPLOY / "Dockerfile") -> list[Step]:
    """Its instructions in order, continued lines joined."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    steps: list[Step] = []
    stage = -1
    for line in filter(str.strip, joined.splitlines()):
        word, _, rest = line.strip().partition(" ")
        stage += word == "FROM"
        steps.append(Step(stage, word, rest.strip()))
    return steps


def of_last_stage(word: str) -> list[str]:
    """What follows `word` in the last stage."""
    last = dockerfile_steps()[-1].stage
    return [step.rest for step in dockerfile_steps() if step.stage == last and step.word == word]


def image_environment() -> dict[str, str]:
    """ENV of the last stage."""
    words = map(shlex.split, of_last_stage("ENV"))
    return dict(word.split("=", 1) for line in words for word in line)


def image_health_check() -> list[str]:
    """The command of HEALTHCHECK."""
    (step,) = (step for step in dockerfile_steps() if step.word == "HEALTHCHECK")
    return list(json.loads(step.rest.partition(" CMD ")[2]))


def compose_services() -> dict[str, dict[str, Any]]:
    """The services of docker-compose.yml, variables at their defaults."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", (DEPLOY / "docker-compose.yml").read_text())
    services: dict[str, dict[str, Any]] = yaml.safe_load(text)["services"]
    return services


def replaced(text: str, changes: Mapping[str, str]) -> str:
    """`text` with addresses and paths of containers turned into those of this machine."""
    for old, new in changes.items():
        text = text.replace(old, new)
    return text


def command_of(words: Iterable[str]) -> list[str]:
    """The words of a container's command, with the programs of this environment."""
    first, *rest = words
    ours = {"dicomweb-gateway": [sys.executable, "-m", "dicomweb_gateway"], "python": [sys.executable]}
    return [*ours.get(first, [first]), *rest]


def start(
    command: list[str], environment: Mapping[str, str], log: Path, cwd: Path
) -> subprocess.Popen[bytes]:
    """The command with no more of this machine's environment than a container has."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG", "HOME") if name in os.environ}
    with log.open("ab") as out:
        return subprocess.Popen(command, env={**kept, **environment}, stdout=out, stderr=out, cwd=cwd)


def stop(process: subprocess.Popen[bytes]) -> int:
    """SIGTERM, and the exit code."""
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        return process.wait(40)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
