"""Files that share a SOP Instance UID with another: each in a data store and an index of its own."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .alone import Alone, client_for, running_emulator, running_fetcher
from .checking import Checker
from .compare import load_json

pytestmark = pytest.mark.filterwarnings("ignore:.*:UserWarning")

UNDECODABLE = "broken/j2k-embedded-sequence-delimiter.dcm"
"""Its codestream claims 3.7 billion columns."""


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_emulator(tmp_path_factory.mktemp("emulator")) as url:
        yield url


@pytest.fixture(scope="module")
def fetcher(emulator: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    with running_fetcher(emulator, tmp_path_factory.mktemp("cache")) as found:
        yield found


def test_every_file_that_shares_its_uid(
    corpus: Path, emulator: str, fetcher: tuple[str, Path], tmp_path: Path
) -> None:
    entries = [
        entry
        for entry in load_json(corpus / "MANIFEST.json")["entries"]
        if entry["kind"] == "dicom" and not entry["uid_primary"]
    ]
    folders = {entry["path"]: tmp_path / entry["path"].replace("/", "-") for entry in entries}
    imports = {name: Alone(emulator, corpus / name, folder) for name, folder in folders.items()}
    expected = {entry["path"]: entry for entry in load_json(corpus / "EXPECTED.json")["entries"]}
    totals: dict[str, int] = {}
    problems: list[str] = []
    for entry in entries:
        name = entry["path"]
        if refused := imports[name].refused():
            print(f"{name}: {refused[0]}")
            totals["listed with a reason"] = totals.get("listed with a reason", 0) + 1
            continue
        client = client_for(emulator, fetcher, imports[name].datastore_id, folders[name])
        check = Checker(lambda url, accept, client=client: _get(client, url, accept), folder=corpus)
        (row,) = client.get("/aetitle/instances").get_json()
        url = row["00081190"]["Value"][0]
        source = check.source(name)
        served = client.get(url + "/metadata").get_json()[0]
        check.metadata(name, source, served, set())
        check.instance(name, url, source, decodable=name != UNDECODABLE)
        if name in expected:
            check.frames(name, url, expected[name], entry["bits_allocated"])
            check.rendered(name, url, True)
        problems += check.problems
        for what, number in check.counts.items():
            totals[what] = totals.get(what, 0) + number
    print(json.dumps(totals, indent=1))
    assert problems == [], "\n".join(problems)
    assert totals["metadata: right"] + totals["listed with a reason"] == 59


def _get(client: Any, url: str, accept: str) -> tuple[int, bytes]:
    answer = client.get(url, headers={"Accept": accept})
    return answer.status_code, answer.data
