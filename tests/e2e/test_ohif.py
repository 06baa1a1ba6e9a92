"""OHIF in Chromium on a demo: its study list, and studies of several kinds (L-1 to L-3, L-7, V-1 to V-5).

Nothing may fail: no request that is answered 400 or above or that ends early, no error on the console.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from tests.conftest import corpus_folder

from .node import need_chromium, need_ohif, need_packages
from .ohif import OF_OHIF, drive, served
from .running import Demo, start_demo
from .viewer_files import write_viewer_files

pytestmark = pytest.mark.filterwarnings("ignore:.*:UserWarning")

PATIENCE = 90_000
"""Milliseconds that OHIF may take for each thing that is waited for; it takes 1 to 4 s on an idle machine."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for each study; the made files stand in where there is no corpus."""
    need_chromium()
    need_ohif()
    corpus = corpus_folder() if (corpus_folder() / "MANIFEST.json").exists() else None
    folder = tmp_path_factory.mktemp("viewer")
    write_viewer_files(folder, corpus)
    return folder


@pytest.fixture(scope="module")
def demo(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    demo = start_demo(tmp_path_factory.mktemp("viewer-demo"), [folder])
    yield demo
    assert demo.stop() == 0


@pytest.fixture(scope="module")
def studies(folder: Path) -> dict[str, dict[str, Any]]:
    """Kind to what `ohif.mjs` is told of its study."""
    return {
        kind.name: {
            "uid": dcmread(next(iter(files)), stop_before_pixels=True).StudyInstanceUID,
            "series": len({dcmread(file, stop_before_pixels=True).SeriesInstanceUID for file in files}),
            "overlay": kind.name == "seg",
        }
        for kind in sorted(folder.iterdir())
        if (files := list(kind.glob("*.dcm")))
    }


@pytest.fixture(scope="module")
def seen(demo: Demo, studies: dict[str, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What OHIF showed, of the list and of every study."""
    node, viewer = need_packages(), need_ohif()
    task = {
        "chromium": need_chromium(),
        "profile": str(tmp_path_factory.mktemp("profile")),
        "base": demo.base,
        "listed": len(studies),
        "studies": list(studies.values()),
        "patience": PATIENCE,
    }
    with served(viewer, demo.base) as root:
        return drive(node, {**task, "viewer": root})


def test_nothing_failed(seen: dict[str, Any]) -> None:
    assert [error for error in seen["errors"] if not any(own in error for own in OF_OHIF)] == []
    assert seen["failures"] == []
    assert seen["requests"] > 20


def test_every_study_is_listed(seen: dict[str, Any], demo: Demo) -> None:
    rows = demo.session.get(f"{demo.base}/studies", timeout=30).json()
    names = {row["00100010"]["Value"][0]["Alphabetic"].split("^")[0] for row in rows}
    assert len(seen["rows"]) == len(rows)
    assert all(any(name in shown for shown in seen["rows"]) for name in names)


def test_every_study_is_drawn(seen: dict[str, Any], studies: dict[str, dict[str, Any]]) -> None:
    drawn = {study["uid"]: study["drawn"] for study in seen["studies"]}
    assert set(drawn) == {study["uid"] for study in studies.values()}
    for kind in ("ct", "mg", "seg"):
        assert drawn[studies[kind]["uid"]]["coloured"] == 0
    if "us" in studies:
        assert drawn[studies["us"]["uid"]]["coloured"] > 1000


def test_the_segmentation_lies_over_its_image(seen: dict[str, Any], studies: dict[str, Any]) -> None:
    (study,) = (study for study in seen["studies"] if study["uid"] == studies["seg"]["uid"])
    assert study["overlaid"]["coloured"] > 1000
