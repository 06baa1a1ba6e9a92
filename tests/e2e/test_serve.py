"""The README's way to run it for real, with the emulator in the place of AWS."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from dicomweb_gateway.workflow.samples import write_synthetic_series

from .running import NO_AWS
from .served import filled_emulator, run, serving


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[str]:
    write_synthetic_series(tmp_path / "in", slices=3, size=64)
    with filled_emulator(tmp_path) as url:
        yield url


@pytest.fixture
def environment(emulator: str, tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        **NO_AWS,
        "DATA_DIR": str(tmp_path / "data"),
        "AHI_ENDPOINT": emulator,
        "PORT": "0",
        "PUBLIC_URL": "https://pacs.example.org/imaging",
        "WEB_PROCESSES": "1",
    }


def test_upgrade_sync_check_serve(environment: dict[str, str], tmp_path: Path) -> None:
    assert run(environment, "db", "upgrade").returncode == 0
    synchronised = run(environment, "index", "sync")
    assert synchronised.returncode == 0, synchronised.stderr
    checked = run(environment, "check")
    assert checked.returncode == 0, checked.stdout
    with serving(environment, tmp_path / "serve.log") as (process, base):
        assert requests.get(f"{base}/health", timeout=10).text == "OK"
        (study,) = requests.get(f"{base}/aetitle/studies", timeout=10).json()
        assert study["00201208"]["Value"] == [3]
        (link,) = study["00081190"]["Value"]
        assert link.startswith("https://pacs.example.org/imaging/aetitle/studies/")
        named = {"Host": "pacs.example.org"}
        assert requests.get(f"{base}/aetitle/studies", headers=named, timeout=10).status_code == 200
        foreign = {"Host": "evil.example.org"}
        assert requests.get(f"{base}/aetitle/studies", headers=foreign, timeout=10).status_code == 400
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 0
    text = (tmp_path / "serve.log").read_text()
    for expected in ("AWS credentials:", "frame fetcher 0 started", "service starting, listening on"):
        assert expected in text


def test_a_taken_port_is_one_sentence(environment: dict[str, str]) -> None:
    with requests.Session() as session:
        taken = session.get(environment["AHI_ENDPOINT"] + "/_emulator/health", timeout=10).url.split(":")[2]
    refused = run({**environment, "PORT": taken.split("/")[0]}, "serve")
    assert refused.returncode == 2
    assert refused.stderr.strip().count("\n") == 0
    assert "cannot listen on" in refused.stderr
