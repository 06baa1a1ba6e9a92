"""The lock file in deploy/ pins what pyproject.toml asks for, and what is made of it has the same pins."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]


def pinned() -> dict[str, Version]:
    lines = (ROOT / "deploy" / "requirements.lock").read_text().splitlines()
    pins = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): Version(version) for name, version in pins}


def test_every_dependency_is_pinned_within_its_range():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = pinned()
    wrong = [
        requirement
        for requirement in map(Requirement, project["dependencies"])
        if not requirement.specifier.contains(pins[canonicalize_name(requirement.name)])
    ]
    assert wrong == []


def test_requirements_with_hashes_have_the_same_pins():
    text = (ROOT / "deploy" / "requirements.txt").read_text()
    found = re.findall(
        r"^([\w.-]+)==(\S+)( ;.*)? \\\n((?:    --hash=sha256:[0-9a-f]{64}.*\n)+)", text, re.MULTILINE
    )
    held = {canonicalize_name(name): Version(version) for name, version, *_ in found}
    assert held.items() >= pinned().items()
    # Debian 12's Python 3.11.2 needs it beside redis; later ones do not
    assert held.keys() - pinned().keys() <= {"async-timeout"}
    assert len(re.findall(r"^[a-zA-Z]", text, re.MULTILINE)) == len(found)


def test_the_bill_of_materials_is_of_these_pins():
    command = [sys.executable, str(ROOT / "deploy" / "make_sbom.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
