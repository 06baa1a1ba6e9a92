"""The upload page in Chromium: a folder with bad files, a lost connection, a login that ends, a drop."""

from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from tests.emulator.files import ROOT, ct_slice
from tests.stow.parts import part10

from .node import drive
from .running import Demo

NAME = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def folders(small_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A good study, one that the gateway refuses, and three bad files; and two more studies."""
    first, second = (tmp_path_factory.mktemp("upload") / name for name in ("chosen", "dropped"))
    (first / "deep").mkdir(parents=True)
    second.mkdir(parents=True)
    for number in range(1, 4):
        slice_ = ct_slice(
            number, study=97, PatientID="UP-1", PatientName=NAME, StudyDescription="<b>Head</b>"
        )
        (first / f"{number}.dcm").write_bytes(part10(slice_))
        other = ct_slice(number, study=95 + number % 2, PatientID="UP-2", PatientName="UPLOAD^TWO")
        (second / f"{number}").write_bytes(part10(other))
    (first / "deep" / "notes.txt").write_text("no image\n" * 40)
    (first / "deep" / "cut.dcm").write_bytes(part10(ct_slice(9, study=97))[:-100])
    (first / "deep" / "nameless.dcm").write_bytes(part10(ct_slice(9, study=97, StudyInstanceUID=None)))
    # good in itself, but its study is another patient's there
    stolen = dcmread(small_folder / "ct" / "001.dcm")
    stolen.PatientID = "SOMEBODY ELSE"
    stolen.SOPInstanceUID = stolen.file_meta.MediaStorageSOPInstanceUID = f"{ROOT}.98"
    (first / "stolen.dcm").write_bytes(part10(stolen))
    return first, second


@pytest.fixture(scope="module")
def seen(small_demo: Demo, folders: tuple[Path, Path]) -> dict[str, Any]:
    """What `upload.mjs` saw; what that is stands there."""
    found = drive("upload.mjs", root=small_demo.root, folder=str(folders[0]), more=str(folders[1]))
    assert (found["errors"], found["dialogs"]) == ([], 0)
    return found


def test_everybody_can_read_it_on_every_screen(seen: dict[str, Any]) -> None:
    assert (seen["unread"], seen["wide"]) == ([], [])


def test_bad_files_are_left_out_with_the_reason(seen: dict[str, Any]) -> None:
    assert seen["found"] == "4 files of 2 studies found, 3 left out."
    assert sorted(row.split("\t")[1] for row in seen["refused"]) == [
        "it has no StudyInstanceUID",
        "it is cut off inside element (7FE0,0010): 100 bytes are missing",
        "not DICOM",
    ]
    assert any(NAME in row and "UP-1" in row for row in seen["rows"])
    assert any("<b>Head</b>, 2024-03-11" in row for row in seen["rows"])


def test_it_goes_on_after_a_lost_connection_and_an_ended_login(
    seen: dict[str, Any], small_demo: Demo
) -> None:
    assert seen["asked"] == ["abort", 401]
    told = [text.partition(".")[0] for text in seen["told"] if not text.startswith("Sending")]
    assert told == ["The connection is lost", "Your login has ended", "Done: 3 files stored, 1 failed"]
    assert seen["shown"] in ([NAME], ["SYNTHETIC, CT"])
    rows = small_demo.session.get(f"{small_demo.base}/studies/{ROOT}.97/instances", timeout=30).json()
    assert len(rows) == 3


def test_what_the_gateway_refuses_is_told_by_file(seen: dict[str, Any]) -> None:
    (row,) = seen["failed"]
    path, reason = row.split("\t")
    assert path.endswith("stolen.dcm")
    assert reason.endswith("(A901)")
    assert sorted(state.splitlines()[0] for state in seen["states"])[0].startswith("0 of 1 stored, 1 failed")
    assert seen["sentAgain"] == 1


def test_a_folder_is_dropped_and_a_study_of_it_not_sent(seen: dict[str, Any]) -> None:
    dropped = seen["dropped"]
    assert dropped["found"] == "3 files of 2 studies found."
    states = sorted(state.partition(" Look")[0] for state in dropped["states"])
    assert states[-1] == "not sent yet"
    assert " of " in states[0]
    assert dropped["done"] in ("Done: 1 file stored.", "Done: 2 files stored.")
