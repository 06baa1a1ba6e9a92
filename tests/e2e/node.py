"""Node, its packages and Chromium for the end-to-end tests: installed once, or a reason to skip.

Packages are pinned in `javascript/package-lock.json` and lie in `javascript/node_modules`. Of OHIF only the
built `dist` folder is taken, out of its package, whose hash is written here: npm would install the several
hundred packages, too, that only its build needs.
"""

import base64
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent / "javascript"
PACKAGES = FOLDER / "node_modules"
OHIF = "@ohif/app@3.13.2"
OHIF_SHA512 = "WZdxmpmG7rqFgW9ZJLcbgr3XCtLi1KDNPoMaeY5PPe6j4G4fjEjjkycZM6C6Zk2F87BKxFfpq+jd5xXZB9E8EA=="
SHOTS = os.environ.get("PAGE_SHOTS")
"""A folder for screenshots of our pages, to be looked at."""

PATIENCE = 60_000
LASTS = 300
INSTALLS_WITHIN = 240
"""Seconds that npm may take before the tests are skipped."""

_LEAST_NODE = 20
_FAILED: list[str] = []
"""Why npm failed: it is not tried again for each test."""
_NOT_NEEDED = ("package/dist/ort/", "package/dist/dicom-microscopy-viewer/")


def need_node() -> str:
    """Where Node lies; skips without it, without npm, or when it is older than the packages ask for."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        pytest.skip("no node and npm on this machine")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.removeprefix("v").split(".")[0]) < _LEAST_NODE:
        pytest.skip(f"node {version} is older than {_LEAST_NODE}")
    return node


def need_packages() -> str:
    """Node, with the packages of the lock file installed."""
    node = need_node()
    wanted = hashlib.sha256((FOLDER / "package-lock.json").read_bytes()).hexdigest()
    stamp = PACKAGES / ".installed"
    with _alone():
        if not stamp.exists() or stamp.read_text() != wanted:
            _npm("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
            stamp.write_text(wanted)
    return node


def need_ohif() -> Path:
    """The folder with OHIF's built viewer."""
    need_packages()
    folder = PACKAGES / ".ohif" / OHIF.replace("/", "-")
    with _alone():
        if not folder.exists():
            archive = _packed(OHIF, OHIF_SHA512)
            _unpack(archive, folder)
            archive.unlink()
    return folder


def need_chromium() -> str:
    """Where Chromium lies."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    pytest.skip("no chromium on this machine")


def drive(script: str, lasts: float = LASTS, **task: Any) -> dict[str, Any]:
    """What `script` saw, one that `driving.mjs` serves; what `task` is and what was seen stands there.

    It may take `lasts` seconds.
    """
    node = need_packages()
    common = {
        "chromium": need_chromium(),
        "axe": str(PACKAGES / "axe-core" / "axe.min.js"),
        "shots": SHOTS,
        "patience": PATIENCE,
    }
    return told_by(node, script, {**common, **task}, lasts)


def told_by(node: str, script: str, task: dict[str, Any], lasts: float) -> dict[str, Any]:
    """What `script`, one of `javascript/`, tells of its task; it may take `lasts` seconds."""
    done = subprocess.run(
        [node, script],
        cwd=FOLDER,
        input=json.dumps(task),
        capture_output=True,
        text=True,
        timeout=lasts,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


class Clients:
    """The process behind `javascript/clients.mjs`."""

    def __init__(self, node: str) -> None:
        self._process = subprocess.Popen(
            [node, "clients.mjs"], cwd=FOLDER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def call(self, **call: Any) -> dict[str, Any]:
        """The outcome of one call, as `clients.mjs` describes it; `error` and `status` where it failed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(call) + "\n")
        self._process.stdin.flush()
        outcome: dict[str, Any] = json.loads(self._process.stdout.readline())
        return outcome

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(20) == 0
        assert self._process.stdout is not None
        self._process.stdout.close()


def bytes_of(value: dict[str, Any]) -> bytes:
    """What `clients.mjs` wrote as base64."""
    return base64.b64decode(value["base64"], validate=True)


def _npm(*arguments: str) -> str:
    """What npm printed; skips the test where it fails, as it does without the registry."""
    if _FAILED:
        pytest.skip(_FAILED[0])
    try:
        done = subprocess.run(
            ["npm", *arguments, "--fetch-retries", "1", "--fetch-retry-mintimeout", "1000"],
            cwd=FOLDER,
            capture_output=True,
            text=True,
            timeout=INSTALLS_WITHIN,
            check=False,
        )
    except subprocess.TimeoutExpired:
        _FAILED.append(f"npm {arguments[0]} took more than {INSTALLS_WITHIN} s")
    else:
        if done.returncode == 0:
            return done.stdout
        _FAILED.append(f"npm {arguments[0]} failed: {done.stderr.strip()[-300:]}")
    pytest.skip(_FAILED[0])


def _packed(package: str, sha512: str) -> Path:
    """The package's archive, with the right hash."""
    (listed,) = json.loads(_npm("pack", package, "--json", "--pack-destination", str(PACKAGES)))
    archive = PACKAGES / listed["filename"]
    with archive.open("rb") as file:
        found = base64.b64encode(hashlib.file_digest(file, "sha512").digest()).decode()
    assert found == sha512, f"{package} is not what was pinned: {found}"
    return archive


def _unpack(archive: Path, folder: Path) -> None:
    beside = folder.with_suffix(".part")
    shutil.rmtree(beside, ignore_errors=True)
    with tarfile.open(archive) as tar:
        # a Python before 3.11.4 has no filters; what is in the archive is pinned by its hash
        tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
        tar.extractall(beside, (member for member in tar if _is_needed(member.name)))
    (beside / "package" / "dist").rename(folder)
    shutil.rmtree(beside)


def _is_needed(name: str) -> bool:
    return name.startswith("package/dist/") and not name.startswith(_NOT_NEEDED) and not name.endswith(".map")


@contextmanager
def _alone() -> Iterator[None]:
    """No other test process installs meanwhile."""
    with (FOLDER / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
