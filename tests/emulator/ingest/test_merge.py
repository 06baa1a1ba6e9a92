"""Instances into documents: levels agree with what most instances say, at every version (2.2)."""

from typing import Any

import orjson

from dicomweb_gateway.emulator.ingest.instance import ImportedInstance
from dicomweb_gateway.emulator.ingest.merge import merged_document
from dicomweb_gateway.emulator.ingest.reading import Identity


def instance(number: int, **series: Any) -> ImportedInstance:
    uid = f"1.2.{number}"
    return ImportedInstance(
        identity=Identity("1", "1.2", uid, (), ()),
        patient=b'{"PatientID":"P"}',
        study=b'{"StudyInstanceUID":"1"}',
        series=orjson.dumps({"SeriesInstanceUID": "1.2", **series}),
        instance=orjson.dumps({"DICOM": {"SOPInstanceUID": uid}, "DICOMVRs": {}, "ImageFrames": []}),
        blob=None,
        transfer_syntax_uid=None,
        frames=(),
        warnings=(),
        digest=b"",
    )


def merged(existing: bytes | None, *instances: ImportedInstance) -> tuple[bytes, dict[str, Any]]:
    document = merged_document("d", "i", "1.2", existing, instances)
    [series] = orjson.loads(document.body)["Study"]["Series"].values()
    return document.body, series


def own_values(series: dict[str, Any], key: str) -> dict[str, Any]:
    return {uid: body["DICOM"].get(key, "as its series") for uid, body in series["Instances"].items()}


def test_document_of_instances_that_agree_says_everything_once():
    body, series = merged(None, instance(2, Modality="CT"), instance(1, Modality="CT"))
    document = orjson.loads(body)
    assert (document["SchemaVersion"], document["DatastoreID"], document["ImageSetID"]) == ("1.1", "d", "i")
    assert document["Patient"]["DICOM"] == {"PatientID": "P"}
    assert series["DICOM"] == {"SeriesInstanceUID": "1.2", "Modality": "CT"}
    assert list(series["Instances"]) == ["1.2.1", "1.2.2"]
    assert own_values(series, "Modality") == {"1.2.1": "as its series", "1.2.2": "as its series"}


def test_level_follows_the_majority_through_later_versions():
    body, series = merged(None, instance(1, Laterality="L"))
    assert series["DICOM"]["Laterality"] == "L"
    body, series = merged(body, instance(2, Laterality="R"), instance(3, Laterality="R"), instance(4))
    assert series["DICOM"]["Laterality"] == "R"
    assert own_values(series, "Laterality") == {
        "1.2.1": "L",
        "1.2.2": "as its series",
        "1.2.3": "as its series",
        "1.2.4": None,
    }
    body, series = merged(body, instance(1, Laterality="R"), instance(4, Laterality="R"))
    assert set(own_values(series, "Laterality").values()) == {"as its series"}


def test_replaced_instance_leaves_nothing_of_its_old_values():
    body, _ = merged(None, instance(1, SeriesDescription="old"))
    _, series = merged(body, instance(1))
    assert "SeriesDescription" not in series["DICOM"]
    assert own_values(series, "SeriesDescription") == {"1.2.1": "as its series"}
