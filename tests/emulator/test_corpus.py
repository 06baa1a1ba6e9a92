"""The development corpus as one import job over HTTP, and the broken folder on its own."""

import json
from pathlib import Path

from tests.emulator.running import instances_of, running


def link_all(paths: list[Path], folder: Path) -> Path:
    for path in paths:
        (folder / f"{path.parent.name}-{path.name}").symlink_to(path)
    return folder


def test_files_that_can_be_loaded_together(tmp_path, source, corpus):
    entries = json.loads((corpus / "MANIFEST.json").read_text())["entries"]
    primary = [corpus / e["path"] for e in entries if e.get("uid_primary") and e["path"].endswith(".dcm")]
    link_all(primary, source)
    with running(tmp_path) as emulator:
        datastore_id = emulator.datastore()
        logs = emulator.load(datastore_id, source)
        assert len(logs.success) + len(logs.failure) == len(primary)
        assert logs.warning == []
        assert len(logs.success) >= 215
        for name, reason in logs.reasons.items():
            assert "InstanceUID is missing" in reason or name.startswith("broken-"), (name, reason)
        found = emulator.image_sets(datastore_id)
        documents = [emulator.document(datastore_id, entry["imageSetId"]) for entry in found]
        assert sum(len(instances_of(document)) for document in documents) == len(logs.success)
        for entry, document in zip(found, documents, strict=True):
            for instance in instances_of(document).values():
                for frame in instance["ImageFrames"][:1]:
                    assert emulator.frame(datastore_id, entry["imageSetId"], frame["ID"])


def test_one_study_uid_under_two_patients_is_kept_apart(tmp_path, source, corpus):
    entries = json.loads((corpus / "MANIFEST.json").read_text())["entries"]
    link_all([corpus / e["path"] for e in entries if e["path"].startswith("multi-study/")], source)
    with running(tmp_path) as emulator:
        datastore_id = emulator.datastore()
        logs = emulator.load(datastore_id, source)
        assert not logs.failure
        found = emulator.image_sets(datastore_id)
        for entry in found:
            document = emulator.document(datastore_id, entry["imageSetId"])
            assert document["Patient"]["DICOM"].get("PatientID") == entry["DICOMTags"]["DICOMPatientId"]


def test_broken_files_break_nothing(tmp_path, source, corpus):
    files = sorted((corpus / "broken").iterdir())
    link_all(files, source)
    with running(tmp_path, workers=1) as emulator:
        logs = emulator.load(emulator.datastore(), source)
        assert emulator.side("GET", "health") == {"status": "OK"}
    handled = [Path(line["inputFile"]).name for line in logs.success + logs.failure + logs.warning]
    assert sorted(set(handled)) == sorted(f"broken-{path.name}" for path in files)
    assert all(logs.reasons.values())
