"""Import jobs over HTTP: image sets, versions, duplicates, logs (healthimaging.md 2.5, 4.1, 4.3)."""

import os
import shutil
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate

from dicomweb_gateway.imagesets.metadata import parse_document
from tests.emulator.files import ROOT, ct_slice, save
from tests.emulator.running import RunningEmulator, instances_of, running

HTJ2K, ELE = "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.1"

BUNDLED = {
    "CT_small.dcm": HTJ2K,
    "MR_small_RLE.dcm": HTJ2K,
    "MR_small_bigendian.dcm": HTJ2K,
    "JPEG2000.dcm": "1.2.840.10008.1.2.4.91",
    "SC_rgb_jpeg_dcmtk.dcm": "1.2.840.10008.1.2.4.50",
    "liver_1frame.dcm": ELE,
    "rtplan.dcm": None,
    "reportsi.dcm": None,
    "examples_palette.dcm": HTJ2K,
    "examples_ybr_color.dcm": "1.2.840.10008.1.2.4.50",
    "waveform_ecg.dcm": None,
}
"""pydicom's bundled files that import, with the transfer syntax that their frames are stored in."""

REFUSED = {
    "no_meta.dcm": "not a DICOM file",
    "rtplan_truncated.dcm": "the file ends inside element",
    "DICOMDIR": "DICOMDIR",
    "MR_truncated.dcm": "the file ends inside element",
}


@pytest.fixture
def emulator(tmp_path: Path):
    with running(tmp_path, workers=1) as emulator:
        yield emulator


def copy_bundled(name: str, folder: Path) -> Path:
    found = get_testdata_file(name, download=False)
    if found is None:
        pytest.skip(f"this pydicom does not bundle {name}")
    return Path(shutil.copy(found, folder / name))


@pytest.mark.parametrize(("name", "syntax"), BUNDLED.items(), ids=BUNDLED)
def test_bundled_file_loads(emulator, source, name, syntax):
    copy_bundled(name, source)
    datastore_id = emulator.datastore()
    logs = emulator.load(datastore_id, source)
    assert not logs.failure
    [entry] = emulator.image_sets(datastore_id)
    [instance] = instances_of(emulator.document(datastore_id, entry["imageSetId"])).values()
    assert instance.get("StoredTransferSyntaxUID") == syntax
    assert bool(instance["ImageFrames"]) == (syntax is not None)
    for frame in instance["ImageFrames"]:
        assert emulator.frame(datastore_id, entry["imageSetId"], frame["ID"])


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_a_folder_with_everything_in_it(emulator, source):
    save(ct_slice(1), source / "deep" / "er" / "no-extension")
    save(ct_slice(2, series=2, SOPInstanceUID=None), source / "without-uid.dcm")
    save(ct_slice(3, series=3, SeriesInstanceUID="1..2"), source / "bad-uid.dcm")
    save(ct_slice(4, series=4, Rows=65535, Columns=65535), source / "huge.dcm")
    save(ct_slice(5, series=5, PixelData=b"\0\0"), source / "short.dcm")
    (source / "README.md").write_text("# not DICOM\n" * 50)
    (source / "empty").touch()
    (source / "link.dcm").symlink_to(source / "deep" / "er" / "no-extension")
    (source / "loop").symlink_to(source)
    (source / "dangling").symlink_to(source / "nowhere")
    (source / os.fsdecode(b"caf\xe9.txt")).write_bytes(b"latin-1 name")
    datastore_id = emulator.datastore()
    logs = emulator.load(datastore_id, source)
    assert [Path(line["inputFile"]).name for line in logs.success] == ["no-extension"]
    assert "the same as" in logs.warnings["link.dcm"]
    assert logs.reasons.keys() == {
        "without-uid.dcm",
        "bad-uid.dcm",
        "huge.dcm",
        "short.dcm",
        "README.md",
        "empty",
        "caf\ufffd.txt",
        "dangling",
    }
    assert "SOPInstanceUID is missing" in logs.reasons["without-uid.dcm"]
    assert "not a valid UID" in logs.reasons["bad-uid.dcm"]
    assert "too short" in logs.reasons["huge.dcm"]
    assert "too short" in logs.reasons["short.dcm"]
    assert logs.reasons["dangling"] == "the file cannot be read: No such file or directory"
    assert logs.reasons["empty"] == "the file is empty"
    assert logs.summary["numberOfScannedFiles"] == 10
    assert logs.summary["numberOfImportedFiles"] == 1
    assert logs.summary["numberOfFilesWithCustomerError"] == 8
    assert len(logs.summary["imageSetsSummary"]) == 1


def test_later_job_adds_to_the_series_with_a_new_version(emulator, source):
    save(ct_slice(1), source / "a" / "1.dcm")
    save(ct_slice(2), source / "b" / "2.dcm")
    datastore_id = emulator.datastore()
    emulator.load(datastore_id, source / "a")
    emulator.load(datastore_id, source / "b")
    [entry] = emulator.image_sets(datastore_id)
    assert (entry["version"], entry["isPrimary"]) == (2, True)
    assert entry["DICOMTags"]["DICOMNumberOfStudyRelatedInstances"] == 2
    assert len(instances_of(emulator.document(datastore_id, entry["imageSetId"]))) == 2
    assert len(instances_of(emulator.document(datastore_id, entry["imageSetId"], "1"))) == 1
    versions = emulator.client.list_image_set_versions(
        datastoreId=datastore_id, imageSetId=entry["imageSetId"]
    )["imageSetPropertiesList"]
    assert [(v["versionId"], v["ImageSetWorkflowStatus"]) for v in versions] == [
        ("2", "UPDATED"),
        ("1", "CREATED"),
    ]


def test_same_instance_again_replaces_it_and_old_frames_stay(emulator, source):
    path = save(ct_slice(1), source / "1.dcm")
    datastore_id = emulator.datastore()
    emulator.load(datastore_id, source)
    [entry] = emulator.image_sets(datastore_id)
    before = next(iter(instances_of(emulator.document(datastore_id, entry["imageSetId"])).values()))
    save(ct_slice(1, PixelData=b"\7\0" * 4096), path)
    emulator.load(datastore_id, source)
    after = next(iter(instances_of(emulator.document(datastore_id, entry["imageSetId"])).values()))
    assert after["ImageFrames"][0]["MinPixelValue"] == 7
    ids = [instance["ImageFrames"][0]["ID"] for instance in (before, after)]
    assert ids[0] != ids[1]
    assert all(emulator.frame(datastore_id, entry["imageSetId"], frame_id) for frame_id in ids)


def test_conflicting_patient_id_goes_to_a_non_primary_image_set(emulator, source):
    save(ct_slice(1), source / "1.dcm")
    save(ct_slice(2, PatientID="someone else"), source / "2.dcm")
    save(ct_slice(3, series=2, PatientID="someone else"), source / "3.dcm")
    datastore_id = emulator.datastore()
    emulator.load(datastore_id, source)
    found = {
        (e["DICOMTags"]["DICOMPatientId"], e["DICOMTags"]["DICOMSeriesNumber"]): e["isPrimary"]
        for e in emulator.image_sets(datastore_id)
    }
    assert found == {("P-1", 1): True, ("someone else", 1): False, ("someone else", 2): False}


@pytest.mark.parametrize(
    ("changes", "told"), [({}, "the same as"), ({"InstanceNumber": 9}, "different from")]
)
def test_first_file_of_one_sop_instance_uid_wins(emulator, source, changes, told):
    save(ct_slice(1), source / "a.dcm")
    save(ct_slice(1, **changes), source / "b.dcm")
    datastore_id = emulator.datastore()
    logs = emulator.load(datastore_id, source)
    assert told in logs.warnings["b.dcm"]
    [entry] = emulator.image_sets(datastore_id)
    [instance] = instances_of(emulator.document(datastore_id, entry["imageSetId"])).values()
    assert instance["DICOM"]["InstanceNumber"] == "1"


def test_duplicate_steps_in_where_the_first_file_is_broken(emulator, source):
    save(ct_slice(1, PixelData=b"\0\0"), source / "a.dcm")
    save(ct_slice(1), source / "b.dcm")
    datastore_id = emulator.datastore()
    logs = emulator.load(datastore_id, source)
    assert logs.reasons.keys() == {"a.dcm"}
    assert [Path(line["inputFile"]).name for line in logs.success] == ["b.dcm"]


def test_instances_that_disagree_with_their_series_keep_their_own_values(emulator, source):
    for number, description in ((1, "Head"), (2, "Head"), (3, "Neck")):
        save(ct_slice(number, SeriesDescription=description), source / f"{number}.dcm")
    save(ct_slice(4), source / "4.dcm")
    datastore_id = emulator.datastore()
    emulator.load(datastore_id, source)
    [entry] = emulator.image_sets(datastore_id)
    document = emulator.document(datastore_id, entry["imageSetId"])
    [series] = document["Study"]["Series"].values()
    assert series["DICOM"]["SeriesDescription"] == "Head"
    own = {uid[-1]: i["DICOM"].get("SeriesDescription", "absent") for uid, i in series["Instances"].items()}
    assert own == {"1": "absent", "2": "absent", "3": "Neck", "4": None}


def test_search_by_criteria(emulator, source):
    save(ct_slice(1), source / "1.dcm")
    save(ct_slice(1, study=2, PatientID="P-2", StudyDate="20250101", AccessionNumber="A-2"), source / "2.dcm")
    datastore_id = emulator.datastore()
    emulator.load(datastore_id, source)

    def found(operator, *values, **sort):
        criteria = {"filters": [{"operator": operator, "values": list(values)}], **sort}
        reply = emulator.client.search_image_sets(datastoreId=datastore_id, searchCriteria=criteria)
        return [e["DICOMTags"]["DICOMPatientId"] for e in reply["imageSetsMetadataSummaries"]]

    def date(day, clock=None):
        moment = {"DICOMStudyDate": day, **({"DICOMStudyTime": clock} if clock else {})}
        return {"DICOMStudyDateAndTime": moment}

    assert found("EQUAL", {"DICOMPatientId": "P-2"}) == ["P-2"]
    assert found("EQUAL", {"DICOMAccessionNumber": "A-1"}) == ["P-1"]
    assert found("EQUAL", {"DICOMSeriesInstanceUID": f"{ROOT}.2.1"}) == ["P-2"]
    assert found("EQUAL", {"isPrimary": False}) == []
    assert found("BETWEEN", date("20240101"), date("20241231")) == ["P-1"]
    assert found("BETWEEN", date("20240311", "101600.000000"), date("20251231")) == ["P-2"]
    newest = emulator.image_sets(datastore_id)[0]["updatedAt"]
    assert len(found("EQUAL", {"updatedAt": newest})) >= 1
    order = {"sort": {"sortField": "DICOMStudyDateAndTime", "sortOrder": "ASC"}}
    assert found("EQUAL", {"isPrimary": True}, **order) == ["P-1", "P-2"]
    with pytest.raises(ClientError):
        found("EQUAL", {"DICOMPatientId": "x"}, {"DICOMPatientId": "y"})


def test_search_pages_hold_every_image_set_once(emulator, source):
    for series in range(1, 8):
        save(ct_slice(1, series=series), source / f"{series}.dcm")
    datastore_id = emulator.datastore()
    emulator.load(datastore_id, source)
    pages = emulator.client.get_paginator("search_image_sets").paginate(
        datastoreId=datastore_id, searchCriteria={}, PaginationConfig={"PageSize": 3}
    )
    ids = [e["imageSetId"] for page in pages for e in page["imageSetsMetadataSummaries"]]
    assert len(ids) == len(set(ids)) == 7


def test_deleted_image_set_leaves_a_tombstone(emulator, source):
    save(ct_slice(1), source / "1.dcm")
    datastore_id = emulator.datastore()
    emulator.load(datastore_id, source)
    [entry] = emulator.image_sets(datastore_id)
    ids = {"datastoreId": datastore_id, "imageSetId": entry["imageSetId"]}
    reply = emulator.client.delete_image_set(**ids)
    assert (reply["imageSetState"], reply["imageSetWorkflowStatus"]) == ("LOCKED", "DELETING")
    wait_for_deletion(emulator, ids)
    assert emulator.image_sets(datastore_id) == []
    with pytest.raises(emulator.client.exceptions.ResourceNotFoundException):
        emulator.client.get_image_set_metadata(**ids)
    assert not list((emulator.folder / "store" / "frames").glob("*/*"))
    emulator.load(datastore_id, source)
    [again] = emulator.image_sets(datastore_id)
    assert again["imageSetId"] != entry["imageSetId"]


def wait_for_deletion(emulator: RunningEmulator, ids: dict[str, str]) -> None:
    for _ in range(10_000):
        if emulator.client.get_image_set(**ids)["imageSetState"] == "DELETED":
            return
    raise AssertionError("the image set was not deleted")


def test_one_client_token_starts_one_job(emulator, source):
    save(ct_slice(1), source / "1.dcm")
    datastore_id = emulator.datastore()
    jobs = {emulator.start(datastore_id, source, clientToken="once") for _ in range(2)}
    assert len(jobs) == 1
    emulator.wait(datastore_id, jobs.pop())


def test_jpeg2000_datastore_stores_jpeg2000(emulator, source):
    save(ct_slice(1), source / "1.dcm")
    datastore_id = emulator.datastore(losslessStorageFormat="JPEG_2000_LOSSLESS")
    emulator.load(datastore_id, source)
    [entry] = emulator.image_sets(datastore_id)
    [instance] = instances_of(emulator.document(datastore_id, entry["imageSetId"])).values()
    assert instance["StoredTransferSyntaxUID"] == "1.2.840.10008.1.2.4.90"


def test_output_folder_that_cannot_be_made_fails_the_job(emulator, source):
    save(ct_slice(1), source / "1.dcm")
    (emulator.folder / "out").write_text("a file in the way")
    datastore_id = emulator.datastore()
    job = emulator.wait(datastore_id, emulator.start(datastore_id, source))
    assert job["jobStatus"] == "FAILED"
    assert "Error" in job["message"]


def test_unchanged_files_are_not_read_again(tmp_path, source):
    for number in (1, 2, 3):
        save(ct_slice(number), source / f"{number}.dcm")
    with running(tmp_path, workers=1, skip_unchanged=True) as emulator:
        datastore_id = emulator.datastore()
        emulator.load(datastore_id, source)
        save(ct_slice(2, InstanceNumber=22), source / "2.dcm")
        os.utime(source / "2.dcm", ns=(1, 1))
        shutil.copy2(source / "1.dcm", source / "elsewhere.dcm")
        save(ct_slice(4), source / "4.dcm")
        logs = emulator.load(datastore_id, source)
        assert [Path(line["inputFile"]).name for line in logs.success] == ["2.dcm", "4.dcm"]
        assert logs.summary["numberOfUnchangedFiles"] == 2
        assert "already imported from" in logs.warnings["elsewhere.dcm"]
        [entry] = emulator.image_sets(datastore_id)
        instances = instances_of(emulator.document(datastore_id, entry["imageSetId"]))
        assert {i["DICOM"]["InstanceNumber"] for i in instances.values()} == {"1", "22", "3", "4"}
        third = emulator.load(datastore_id, source)
        assert third.summary["numberOfImportedFiles"] == 0
        assert "already imported from" in third.warnings["elsewhere.dcm"]
        assert emulator.image_sets(datastore_id)[0]["version"] == entry["version"]


def test_what_is_stored_survives_a_restart(tmp_path, source):
    save(ct_slice(1), source / "1.dcm")
    with running(tmp_path, workers=1) as emulator:
        datastore_id = emulator.datastore()
        emulator.load(datastore_id, source)
        [entry] = emulator.image_sets(datastore_id)
        document = emulator.document(datastore_id, entry["imageSetId"])
    with running(tmp_path, workers=1) as emulator:
        assert emulator.image_sets(datastore_id) == [entry]
        assert emulator.document(datastore_id, entry["imageSetId"]) == document


def test_documents_have_the_shape_of_real_ones(emulator, source, ahi_documents):
    save(ct_slice(1), source / "1.dcm")
    datastore_id = emulator.datastore()
    emulator.load(datastore_id, source)
    [entry] = emulator.image_sets(datastore_id)
    ours = emulator.document(datastore_id, entry["imageSetId"])
    text = (ahi_documents / "real-metadata-ct-588-instances.json").read_bytes()
    real = parse_document(text)
    [series] = real.series()
    instance = next(series.instances())
    assert ours.keys() == {"SchemaVersion", "DatastoreID", "ImageSetID", "Patient", "Study"}
    [our_series] = ours["Study"]["Series"].values()
    [our_instance] = our_series["Instances"].values()
    raw = series.raw_instances[instance.instance_uid]
    assert raw.keys() <= our_instance.keys()
    assert raw["ImageFrames"][0].keys() == our_instance["ImageFrames"][0].keys()
    for key in our_instance["DICOM"].keys() & raw["DICOM"].keys():
        if raw["DICOM"][key] is not None:
            assert type(our_instance["DICOM"][key]) is type(raw["DICOM"][key]), key
    levels = (ours["Patient"]["DICOM"], real.patient), (ours["Study"]["DICOM"], real.study)
    for mine, theirs in (*levels, (our_series["DICOM"], series.tags)):
        assert not mine.keys() & instance.tags.keys()
        assert len(mine.keys() & theirs.keys()) >= 2


@pytest.mark.parametrize(("name", "reason"), REFUSED.items(), ids=REFUSED)
def test_bundled_file_is_refused_with_a_reason(emulator, source, name, reason):
    copy_bundled(name, source)
    logs = emulator.load(emulator.datastore(), source)
    assert not logs.success
    assert reason in logs.reasons[name]


def test_folder_names_are_decoded_from_their_uris(emulator, source):
    folder = source / "with space" / "100%41 ü"
    save(ct_slice(1), folder / "1.dcm")
    logs = emulator.load(emulator.datastore(), folder)
    assert [line["inputFile"] for line in logs.success] == [str(folder / "1.dcm")]


def test_one_file_is_a_job_too(emulator, source):
    save(ct_slice(1), source / "1.dcm")
    save(ct_slice(2), source / "2.dcm")
    logs = emulator.load(emulator.datastore(), source / "2.dcm")
    assert logs.summary["numberOfScannedFiles"] == logs.summary["numberOfImportedFiles"] == 1


def test_undecodable_frames_are_imported_with_a_warning(emulator, source):
    dataset = ct_slice(1, PixelData=None)
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.80"
    dataset.PixelData = encapsulate([b"no JPEG-LS stream"])
    dataset["PixelData"].VR = "OB"
    save(dataset, source / "1.dcm")
    datastore_id = emulator.datastore()
    logs = emulator.load(datastore_id, source)
    assert len(logs.success) == 1
    assert "kept in its original transfer syntax" in logs.warnings["1.dcm"]
    [entry] = emulator.image_sets(datastore_id)
    [instance] = instances_of(emulator.document(datastore_id, entry["imageSetId"])).values()
    assert instance["StoredTransferSyntaxUID"] == "1.2.840.10008.1.2.4.80"
    frame = emulator.frame(datastore_id, entry["imageSetId"], instance["ImageFrames"][0]["ID"])
    assert frame.startswith(b"no JPEG-LS stream")
