"""UpdateImageSetMetadata, CopyImageSet and tags through boto3 (healthimaging.md 4.4, 4.5)."""

import json

import pytest
from botocore.exceptions import ClientError

from tests.emulator.files import ROOT, ct_slice, pixels_of, save
from tests.emulator.running import instances_of, running

SERIES = f"{ROOT}.1.1"


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    with running(tmp_path_factory.mktemp("changes"), workers=1) as one:
        yield one


class Set:
    """One image set of a data store of its own, with the calls that tests make."""

    def __init__(self, emulator, folder, *slices) -> None:
        self.emulator, self.client = emulator, emulator.client
        for number, dataset in enumerate(slices or [ct_slice(1), ct_slice(2)]):
            save(dataset, folder / "in" / f"{number}.dcm")
        self.datastore_id = emulator.datastore()
        emulator.load(self.datastore_id, folder / "in")
        self.ids = [one["imageSetId"] for one in emulator.image_sets(self.datastore_id)]
        [self.image_set_id, *_] = self.ids

    def update(self, changes=None, remove=None, *, latest="1", revert=None, image_set_id=None, **options):
        updates = {}
        if changes is not None:
            updates["updatableAttributes"] = json.dumps({"SchemaVersion": 1.1, **changes}).encode()
        if remove is not None:
            updates["removableAttributes"] = json.dumps({"SchemaVersion": 1.1, **remove}).encode()
        return self.client.update_image_set_metadata(
            datastoreId=self.datastore_id,
            imageSetId=image_set_id or self.image_set_id,
            latestVersionId=latest,
            updateImageSetMetadataUpdates={"DICOMUpdates": updates}
            if revert is None
            else {"revertToVersionId": revert},
            **options,
        )

    def copy(self, image_set_id=None, *, latest="1", only=None, into=None, **options):
        source = {"latestVersionId": latest}
        if only is not None:
            tree = {"Study": {"Series": {SERIES: {"Instances": {uid: {} for uid in only}}}}}
            source["DICOMCopies"] = {"copiableAttributes": json.dumps({"SchemaVersion": "1.1", **tree})}
        information = {"sourceImageSet": source}
        if into is not None:
            information["destinationImageSet"] = {"imageSetId": into[0], "latestVersionId": into[1]}
        return self.client.copy_image_set(
            datastoreId=self.datastore_id,
            sourceImageSetId=image_set_id or self.image_set_id,
            copyImageSetInformation=information,
            **options,
        )["destinationImageSetProperties"]

    def document(self, image_set_id=None, version=None):
        return self.emulator.document(self.datastore_id, image_set_id or self.image_set_id, version)

    def properties(self, image_set_id=None):
        return self.client.get_image_set(
            datastoreId=self.datastore_id, imageSetId=image_set_id or self.image_set_id
        )


@pytest.fixture
def made(emulator, tmp_path) -> Set:
    return Set(emulator, tmp_path)


@pytest.fixture(scope="module")
def kept(emulator, tmp_path_factory) -> Set:
    """One that no test changes."""
    return Set(emulator, tmp_path_factory.mktemp("kept"))


def code_of(call, *arguments, **options) -> str:
    with pytest.raises(ClientError) as caught:
        call(*arguments, **options)
    return str(caught.value.response["Error"]["Code"])


STUDY = {"Study": {"DICOM": {"StudyDescription": "changed"}}}


def test_an_update_is_a_new_version(made):
    reply = made.update(STUDY)
    assert (reply["latestVersionId"], reply["imageSetState"]) == ("2", "LOCKED")
    assert reply["imageSetWorkflowStatus"] == "UPDATING"
    assert made.document()["Study"]["DICOM"]["StudyDescription"] == "changed"
    assert "StudyDescription" not in made.document(version="1")["Study"]["DICOM"]
    assert (made.properties()["versionId"], made.properties()["imageSetState"]) == ("2", "ACTIVE")
    versions = made.client.list_image_set_versions(
        datastoreId=made.datastore_id, imageSetId=made.image_set_id
    )["imageSetPropertiesList"]
    assert [(one["versionId"], one["ImageSetWorkflowStatus"]) for one in versions] == [
        ("2", "UPDATED"),
        ("1", "CREATED"),
    ]
    [found] = made.emulator.image_sets(made.datastore_id)
    assert (found["version"], found["DICOMTags"]["DICOMStudyDescription"]) == (2, "changed")


def test_what_is_removed_and_reverted(made):
    made.update(remove={"Study": {"DICOM": {"StudyTime": None}}})
    assert "StudyTime" not in made.document()["Study"]["DICOM"]
    gone = {"Study": {"Series": {SERIES: {"Instances": {f"{SERIES}.2": {}}}}}}
    made.update(remove=gone, latest="2")
    assert list(instances_of(made.document())) == [f"{SERIES}.1"]
    assert made.update(revert="1", latest="3")["latestVersionId"] == "4"
    assert made.document() == made.document(version="1")
    last = {"Study": {"Series": {SERIES: {"Instances": {f"{SERIES}.1": {}, f"{SERIES}.2": {}}}}}}
    assert code_of(made.update, remove=last, latest="4") == "ValidationException"


INSTANCE = {"Study": {"Series": {SERIES: {"Instances": {f"{SERIES}.1": {"DICOM": {"InstanceNumber": "9"}}}}}}}


@pytest.mark.parametrize(
    ("changes", "options", "code"),
    [
        (STUDY, {"latest": "2"}, "ConflictException"),
        ({"Study": {"DICOM": {"StudyID": "8"}}}, {}, "ValidationException"),
        ({"Study": {"DICOM": {"StudyInstanceUID": "1.2"}}}, {"force": True}, "ValidationException"),
        ({"Study": {"DICOM": {"StudyDescription": ["a", "b"]}}}, {}, "ValidationException"),
        ({"Study": {"DICOM": {"ReferencedStudySequence": []}}}, {}, "ValidationException"),
        ({"Study": {"DICOM": {"Modality": "MR"}}}, {}, "ValidationException"),
        ({"Study": {"DICOM": {"Unheard": "x"}}}, {}, "ValidationException"),
        ({"Study": {"DICOM": {"00091001": "x"}}}, {}, "ValidationException"),
        ({"Study": {"DICOM": {"PixelData": "x"}}}, {"force": True}, "ValidationException"),
        ({"Patient": {"DICOM": {"PatientName": "x"}}}, {}, "ValidationException"),
        (
            {"Study": {"Series": {SERIES: {"DICOM": {"Modality": "MR"}}}}},
            {"force": True},
            "ValidationException",
        ),
        ({"Study": {"Series": {"1.2": {"DICOM": {}}}}}, {}, "ValidationException"),
        ({"Study": {"DICOM": "text"}}, {}, "ValidationException"),
        ({"Other": {}}, {}, "ValidationException"),
        (INSTANCE, {"includeStudyImageSets": True}, "ValidationException"),
        ({"Study": {"DICOM": {"StudyDescription": "x" * 11_000}}}, {}, "ServiceQuotaExceededException"),
    ],
)
def test_what_may_not_be_changed(kept, changes, options, code):
    assert code_of(kept.update, changes, **options) == code
    assert kept.properties()["versionId"] == "1"


def test_instances_are_changed(made):
    made.update(INSTANCE)
    assert instances_of(made.document())[f"{SERIES}.1"]["DICOM"]["InstanceNumber"] == "9"
    forced = {"Study": {"DICOM": {"StudyID": "8"}}}
    made.update(forced, latest="2", force=True)
    assert made.document()["Study"]["DICOM"]["StudyID"] == "8"
    assert made.properties()["overrides"] == {"forced": True}


def test_all_image_sets_of_a_study(emulator, tmp_path):
    made = Set(emulator, tmp_path, ct_slice(1), ct_slice(1, series=2))
    reply = made.update(STUDY, includeStudyImageSets=True)
    assert reply["imageSetWorkflowStatus"] == "UPDATING_FOR_STUDY_CONSISTENCY"
    for image_set_id in made.ids:
        assert made.document(image_set_id)["Study"]["DICOM"]["StudyDescription"] == "changed"


def test_patients_and_uids_of_image_sets_that_are_not_primary(emulator, tmp_path):
    made = Set(emulator, tmp_path, ct_slice(1), ct_slice(2, PatientID="P-2"))
    [other] = [one for one in made.ids if not made.properties(one)["isPrimary"]]
    made.update({"Patient": {"DICOM": {"PatientName": "New^Name"}}}, image_set_id=other)
    assert made.document(other)["Patient"]["DICOM"]["PatientName"] == "New^Name"
    uid = next(iter(instances_of(made.document(other))))
    renamed = {"Study": {"Series": {SERIES: {"Instances": {uid: {"DICOM": {"SOPInstanceUID": "1.2.9"}}}}}}}
    made.update(renamed, image_set_id=other, latest="2", force=True)
    assert list(instances_of(made.document(other))) == ["1.2.9"]


def test_no_instance_is_lost_to_the_uid_of_another(emulator, tmp_path):
    slices = [ct_slice(1), ct_slice(2, PatientID="P-2"), ct_slice(3, PatientID="P-2")]
    made = Set(emulator, tmp_path, *slices)
    [other] = [one for one in made.ids if not made.properties(one)["isPrimary"]]
    one, two = instances_of(made.document(other))
    same = {"Study": {"Series": {SERIES: {"Instances": {one: {"DICOM": {"SOPInstanceUID": two}}}}}}}
    with pytest.raises(ClientError, match="one UID"):
        made.update(same, image_set_id=other, latest="1", force=True)
    assert list(instances_of(made.document(other))) == [one, two]


def test_a_copy_has_the_frames_and_outlives_its_source(made):
    copy = made.copy()
    assert (copy["latestVersionId"], copy["imageSetWorkflowStatus"]) == ("1", "COPYING")
    document = made.document(copy["imageSetId"])
    assert document["ImageSetID"] == copy["imageSetId"]
    assert {**document, "ImageSetID": made.image_set_id} == made.document()
    assert made.properties(copy["imageSetId"])["isPrimary"] is False
    assert made.properties(copy["imageSetId"])["imageSetWorkflowStatus"] == "COPIED"
    made.client.delete_image_set(datastoreId=made.datastore_id, imageSetId=made.image_set_id)
    while made.properties()["imageSetState"] != "DELETED":
        pass
    frame = instances_of(document)[f"{SERIES}.2"]["ImageFrames"][0]
    assert made.emulator.frame(made.datastore_id, copy["imageSetId"], frame["ID"])
    promoted = made.copy(copy["imageSetId"], promoteToPrimary=True)
    assert made.properties(promoted["imageSetId"])["isPrimary"] is True
    assert pixels_of(2).size


def test_instances_move_between_image_sets(made):
    part = made.copy(only=[f"{SERIES}.1"])
    assert list(instances_of(made.document(part["imageSetId"]))) == [f"{SERIES}.1"]
    rest = made.copy(only=[f"{SERIES}.2"], into=(part["imageSetId"], "1"))
    assert (rest["imageSetId"], rest["latestVersionId"]) == (part["imageSetId"], "2")
    assert list(instances_of(made.document(part["imageSetId"]))) == [f"{SERIES}.1", f"{SERIES}.2"]
    assert code_of(made.copy, into=(part["imageSetId"], "2")) == "ValidationException"


def test_copies_that_are_refused(emulator, tmp_path):
    made = Set(emulator, tmp_path, ct_slice(1), ct_slice(2, PatientID="P-2"))
    other = next(one for one in made.ids if one != made.image_set_id)
    assert code_of(made.copy, into=(other, "1")) == "ValidationException"
    assert code_of(made.copy, into=(other, "7")) == "ConflictException"
    assert code_of(made.copy, into=(made.image_set_id, "1")) == "ValidationException"
    assert code_of(made.copy, latest="9") == "ConflictException"
    assert code_of(made.copy, only=["1.2.3"]) == "ValidationException"
    assert code_of(made.copy, promoteToPrimary=True) == "ConflictException"
    assert code_of(made.copy, image_set_id="a" * 32) == "ResourceNotFoundException"
    assert made.copy(into=(other, "1"), force=True)["latestVersionId"] == "2"
    assert len(instances_of(made.document(other))) == 2


def test_tags(made):
    client = made.client
    arns = [
        client.get_datastore(datastoreId=made.datastore_id)["datastoreProperties"]["datastoreArn"],
        made.properties()["imageSetArn"],
    ]
    for arn in arns:
        client.tag_resource(resourceArn=arn, tags={"one": "1", "two": ""})
        client.tag_resource(resourceArn=arn, tags={"one": "first"})
        assert client.list_tags_for_resource(resourceArn=arn)["tags"] == {"one": "first", "two": ""}
        client.untag_resource(resourceArn=arn, tagKeys=["one", "three"])
        assert client.list_tags_for_resource(resourceArn=arn)["tags"] == {"two": ""}
    assert code_of(client.tag_resource, resourceArn=arns[0], tags={"aws:x": "1"}) == "ValidationException"
    unknown = arns[0][:-32] + "a" * 32
    assert code_of(client.list_tags_for_resource, resourceArn=unknown) == "ResourceNotFoundException"
    assert (
        code_of(client.list_tags_for_resource, resourceArn="arn:aws:s3:::x" + "y" * 20)
        == "ValidationException"
    )


def test_a_data_store_may_have_tags_from_the_start(emulator):
    datastore_id = emulator.datastore(tags={"team": "radiology"})
    arn = emulator.client.get_datastore(datastoreId=datastore_id)["datastoreProperties"]["datastoreArn"]
    assert emulator.client.list_tags_for_resource(resourceArn=arn)["tags"] == {"team": "radiology"}


def test_every_operation_of_the_model_is_there(emulator):
    import requests

    model = emulator.client.meta.service_model
    for name in model.operation_names:
        http = model.operation_model(name).http
        path = http["requestUri"]
        for member in ("datastoreId", "imageSetId", "sourceImageSetId", "jobId"):
            path = path.replace(f"{{{member}}}", "a" * 32)
        url = emulator.url + path.replace("{resourceArn}", "x")
        answer = requests.request(http["method"], url, timeout=10)
        assert answer.headers.get("x-amzn-ErrorType") != "UnknownOperationException", name
