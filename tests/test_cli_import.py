"""`import`, `verify` and what belongs to them on the command line, against an emulator of their own."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dicomweb_gateway.cli import main
from tests.emulator.files import ROOT, ct_slice, save
from tests.emulator.running import running


class Desk:
    """The command line with a data folder of its own."""

    def __init__(self, folder: Path, emulator: Any) -> None:
        self.folder, self.emulator = folder, emulator
        self.settings = {"data_dir": folder / "data", "ahi_endpoint": emulator.url}

    def run(self, *arguments: str, code: int = 0, given: str = "", **settings: Any) -> str:
        pairs = {**self.settings, **settings}
        options = [f"--set={name}={value}" for name, value in pairs.items()]
        result = CliRunner().invoke(main, [*options, *arguments], input=given)
        assert result.exit_code == code, result.output + repr(result.exception)
        return result.output if code else result.stdout

    def json(self, *arguments: str, **options: Any) -> Any:
        return json.loads(self.run(*arguments, "--json", **options).strip().splitlines()[-1])


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    with running(tmp_path_factory.mktemp("desk"), workers=1) as made:
        yield made


@pytest.fixture
def desk(emulator, tmp_path):
    store = emulator.datastore()
    made = Desk(tmp_path, emulator)
    made.settings["ahi_datastore_ids"] = store
    for number in (1, 2, 3):
        save(ct_slice(number), tmp_path / "in" / f"{number}.dcm")
    return made


def test_files_are_imported_indexed_and_verified(desk):
    (desk.folder / "in" / "notes").write_text("no DICOM " * 30)
    found = desk.json("import", str(desk.folder / "in"))
    assert (found["imported"], found["left_out"], found["failed"]) == (3, 1, 0)
    assert len(found["image_sets"]) == len(found["jobs"]) == 1
    [row] = map(json.loads, Path(found["report"]).read_text().splitlines())
    assert (row["state"], row["path"]) == ("left out", str(desk.folder / "in" / "notes"))
    assert desk.json("index", "status")["instances"] == 3
    assert "0 files imported into 0 image sets, 3 unchanged" in desk.run("import", str(desk.folder / "in"))
    [job] = found["jobs"]
    report = desk.folder / "report.json"
    for chosen in (
        ["--all"],
        ["--study", f"{ROOT}.1"],
        ["--series", f"{ROOT}.1.1"],
        ["--image-set", found["image_sets"][0]],
        ["--job", job],
    ):
        checked = desk.json("verify", *chosen, "--processes", "0", "--report", str(report))
        assert (checked["frames"], checked["failed"]) == (3, 0), chosen
        assert json.loads(report.read_text())["frames"] == 3
    out = desk.folder / "out"
    said = desk.run("verify", "--all", "--out", str(out), "--form", "dicom", "--processes", "0")
    assert "all frames are right" in said
    assert len(list(out.rglob("*.dcm"))) == 3


def test_what_does_not_come_in_is_exit_status_one(desk):
    cut = save(ct_slice(9), desk.folder / "in" / "cut.dcm")
    cut.write_bytes(cut.read_bytes()[:-5])
    said = desk.run("import", str(desk.folder / "in"), "--no-index", code=1)
    assert "3 files imported into 1 image sets" in said
    assert "refused: the file ends inside element (7FE0,0010)" in said
    assert "file by file: " in said


def test_wrong_frames_are_exit_status_one(desk):
    desk.run("import", str(desk.folder / "in"), "--no-index")
    desk.emulator.side("PUT", "faults", json={"corrupt_rate": 1.0})
    try:
        assert "3 failures" in desk.run("verify", "--all", "--processes", "0", code=1)
    finally:
        desk.emulator.side("PUT", "faults", json={"corrupt_rate": 0.0})


def test_what_cannot_be_meant_is_said_in_a_sentence(desk):
    source = str(desk.folder / "in")
    assert "name one of --study" in desk.run("verify", code=2)
    assert "is no UID" in desk.run("verify", "--study", "../x", code=2)
    assert "no image set of 1.2.3" in desk.run("verify", "--study", "1.2.3", "--processes", "0", code=1)
    assert "does not exist" in desk.run("import", str(desk.folder / "missing"), code=1)
    assert "it is empty" in desk.run("import", "", code=2)
    (desk.folder / "nothing").mkdir()
    assert "there are no files" in desk.run("import", str(desk.folder / "nothing"))
    assert "'mine' is no id of HealthImaging" in desk.run("import", source, "--datastore", "mine", code=2)
    assert "'x' is no id" in desk.run("verify", "--image-set", "x", code=2)
    # AWS itself takes files by S3 only
    assert "IMPORT_BUCKET" in desk.run("import", source, ahi_endpoint="http://10.0.0.1:9", code=2)
    assert "--datastore ID" in desk.run("import", source, ahi_datastore_ids="a,b", code=2)
    assert "is not among them" in desk.run("import", source, "--datastore", "0" * 32, code=2)
    assert "IMPORT_BUCKET" in desk.run("import", source, "--bucket", "s3://x", code=2)
    assert "IMPORT_ROLE_ARN" in desk.run("import", source, import_role_arn="me", code=2)
