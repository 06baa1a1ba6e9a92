"""The service on the wire, through boto3 and through plain HTTP (healthimaging.md 1.2 to 1.5, 3.6, 8)."""

import gzip
import json
import re
import zlib

import jmespath
import pytest
import requests
from botocore.exceptions import ClientError

from dicomweb_gateway.dicom.codestream import parse_codestream
from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.pixels.decoders import decode_frame
from tests.emulator.conftest import Loaded
from tests.emulator.files import ROOT, pixels_of
from tests.emulator.running import ROLE, instances_of

NOBODY = "0" * 32
HTJ2K = "1.2.840.10008.1.2.4.202"


def post(loaded: Loaded, path: str, **options) -> requests.Response:
    return requests.post(f"{loaded.emulator.url}{path}", timeout=30, **options)


def image_set_path(loaded: Loaded, action: str) -> str:
    return f"/datastore/{loaded.datastore_id}/imageSet/{loaded.image_set_id}/{action}"


def test_datastore_properties(loaded):
    properties = loaded.emulator.client.get_datastore(datastoreId=loaded.datastore_id)["datastoreProperties"]
    assert properties["datastoreStatus"] == "ACTIVE"
    assert properties["losslessStorageFormat"] == "HTJ2K"
    assert properties["datastoreArn"].endswith(f":123456789012:datastore/{loaded.datastore_id}")


def test_create_with_one_client_token_makes_one_datastore(loaded):
    client = loaded.emulator.client
    ids = {client.create_datastore(clientToken="same")["datastoreId"] for _ in range(2)}
    assert len(ids) == 1
    client.delete_datastore(datastoreId=ids.pop())


def test_datastore_with_image_sets_is_not_deleted(loaded):
    with pytest.raises(ClientError) as caught:
        loaded.emulator.client.delete_datastore(datastoreId=loaded.datastore_id)
    assert caught.value.response["Error"]["Code"] == "ConflictException"


def test_deleted_datastore_is_gone_from_the_list_and_refuses_work(loaded):
    client = loaded.emulator.client
    datastore_id = loaded.emulator.datastore()
    assert client.delete_datastore(datastoreId=datastore_id)["datastoreStatus"] == "DELETING"
    assert (
        client.get_datastore(datastoreId=datastore_id)["datastoreProperties"]["datastoreStatus"] == "DELETED"
    )
    assert datastore_id not in str(client.list_datastores())
    assert datastore_id in str(client.list_datastores(datastoreStatus="DELETED"))
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.search_image_sets(datastoreId=datastore_id, searchCriteria={})


def test_lists_are_paged_without_gap_or_overlap(loaded):
    client = loaded.emulator.client
    made = {loaded.emulator.datastore() for _ in range(5)}
    pages = client.get_paginator("list_datastores").paginate(PaginationConfig={"PageSize": 2})
    listed = [s["datastoreId"] for page in pages for s in page["datastoreSummaries"]]
    assert made <= set(listed)
    assert len(listed) == len(set(listed))
    for datastore_id in made:
        client.delete_datastore(datastoreId=datastore_id)


def test_job_as_boto3_sees_it(loaded):
    client = loaded.emulator.client
    job = client.get_dicom_import_job(datastoreId=loaded.datastore_id, jobId=loaded.job_id)["jobProperties"]
    assert job["jobStatus"] == "COMPLETED"
    assert job["outputS3Uri"].endswith(f"/{loaded.datastore_id}-DicomImport-{loaded.job_id}/")
    assert job["endedAt"] >= job["submittedAt"]
    summaries = client.list_dicom_import_jobs(datastoreId=loaded.datastore_id, jobStatus="COMPLETED")[
        "jobSummaries"
    ]
    assert [s["jobId"] for s in summaries] == [loaded.job_id]
    assert not client.list_dicom_import_jobs(datastoreId=loaded.datastore_id, jobStatus="FAILED")[
        "jobSummaries"
    ]


def test_image_set_properties(loaded):
    ids = {"datastoreId": loaded.datastore_id, "imageSetId": loaded.image_set_id}
    found = loaded.emulator.client.get_image_set(**ids, versionId="1")
    assert (found["versionId"], found["imageSetState"], found["isPrimary"]) == ("1", "ACTIVE", True)
    assert found["imageSetWorkflowStatus"] == "CREATED"
    assert found["imageSetArn"].endswith(f"/imageset/{loaded.image_set_id}")
    raw = post(loaded, image_set_path(loaded, "getImageSet"))
    assert raw.json()["deletedAt"] is None
    assert isinstance(raw.json()["createdAt"], float)
    assert raw.headers["x-amzn-RequestId"]


def test_versions_have_the_capital_i(loaded):
    [version] = post(loaded, image_set_path(loaded, "listImageSetVersions")).json()["imageSetPropertiesList"]
    assert version["ImageSetWorkflowStatus"] == "CREATED"
    assert version["versionId"] == "1"


def test_metadata_is_gzip_on_the_wire_and_boto3_leaves_it_so(loaded):
    reply = loaded.emulator.client.get_image_set_metadata(
        datastoreId=loaded.datastore_id, imageSetId=loaded.image_set_id, versionId="1"
    )
    assert reply["contentEncoding"] == "gzip"
    document = json.loads(gzip.decompress(reply["imageSetMetadataBlob"].read()))
    assert document["SchemaVersion"] == "1.1"
    assert document["Patient"]["DICOM"]["PatientName"] == "Doe^Jane"


def test_document_satisfies_the_verification_workflow(loaded):
    document = loaded.emulator.document(loaded.datastore_id, loaded.image_set_id)
    assert len(jmespath.search("Study.Series.*.Instances[].*[]", document)) == 3
    assert len(jmespath.search("Study.Series.*.Instances[].*[].ImageFrames[]", document)) == 3
    for uid, instance in instances_of(document).items():
        [frame] = instance["ImageFrames"]
        path = "max_by(PixelDataChecksumFromBaseToFullResolution, &Width).Checksum"
        expected = pixels_of(int(uid.rpartition(".")[2]))
        assert jmespath.search(path, frame) == zlib.crc32(expected.tobytes())
        assert (frame["MinPixelValue"], frame["MaxPixelValue"]) == (expected.min(), expected.max())
        assert frame["FrameSizeInBytes"] == expected.nbytes
        assert re.fullmatch("[0-9a-f]{32}", frame["ID"])
        assert instance["StoredTransferSyntaxUID"] == HTJ2K


def test_frame_is_htj2k_with_one_tile_part_a_resolution_and_decodes_exactly(loaded):
    document = loaded.emulator.document(loaded.datastore_id, loaded.image_set_id)
    frame_id = instances_of(document)[f"{ROOT}.1.1.2"]["ImageFrames"][0]["ID"]
    reply = post(loaded, image_set_path(loaded, "getImageFrame"), json={"imageFrameId": frame_id})
    assert reply.headers["Content-Type"] == "image/jph"
    facts = parse_codestream(reply.content)
    assert facts.progression == "RPCL"
    assert facts.has_tlm
    assert len(facts.tile_parts) == facts.decompositions + 1
    pixels = PixelDescription(64, 64, pixel_representation=1)
    assert (decode_frame(reply.content, HTJ2K, pixels) == pixels_of(2)).all()


@pytest.mark.parametrize(
    ("action", "body", "status", "error"),
    [
        ("getImageFrame", {"imageFrameId": NOBODY}, 404, "ResourceNotFoundException"),
        ("getImageFrame", {"imageFrameId": "../../etc/passwd"}, 400, "ValidationException"),
        ("getImageFrame", {"imageFrameInformation": {"imageFrameId": NOBODY}}, 400, "ValidationException"),
        ("getImageFrame", [], 400, "ValidationException"),
        ("getImageSet?version=9", None, 404, "ResourceNotFoundException"),
        ("getImageSet?version=one", None, 400, "ValidationException"),
        ("getImageSetMetadata?version=2", None, 404, "ResourceNotFoundException"),
        ("listImageSetVersions?maxResults=51", None, 400, "ValidationException"),
        ("listImageSetVersions?maxResults=0", None, 400, "ValidationException"),
        ("listImageSetVersions?nextToken=%00", None, 400, "ValidationException"),
        ("copyImageSet", {}, 400, "ValidationException"),
        ("updateImageSetMetadata", {}, 400, "ValidationException"),
        ("moveImageSet", {}, 404, "UnknownOperationException"),
    ],
)
def test_errors_of_image_set_operations(loaded, action, body, status, error):
    reply = post(loaded, image_set_path(loaded, action), **({} if body is None else {"json": body}))
    assert (reply.status_code, reply.headers["x-amzn-ErrorType"]) == (status, error)
    assert set(reply.json()) == {"message"}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/datastore/{NOBODY}/imageSet/{NOBODY}/getImageSet", 404),
        (f"/datastore/{'A' * 32}/imageSet/{NOBODY}/getImageSet", 400),
        ("/datastore/short/searchImageSets", 400),
        ("/startDICOMImportJob/datastore/short", 400),
        ("/nothing", 404),
    ],
)
def test_malformed_and_unknown_ids(loaded, path, status):
    assert post(loaded, path).status_code == status


def test_body_that_is_no_json(loaded):
    reply = post(loaded, image_set_path(loaded, "getImageFrame"), data=b"{")
    assert (reply.status_code, reply.headers["x-amzn-ErrorType"]) == (400, "ValidationException")


@pytest.mark.parametrize(
    "changes",
    [
        {"inputS3Uri": "s3://bucket/folder/"},
        {"inputS3Uri": "/tmp/"},
        {"inputS3Uri": "file:///no/such/folder/"},
        {"inputS3Uri": "file://host/folder/"},
        {"outputS3Uri": "s3://bucket/out/"},
        {"jobName": "with space"},
        {"dataAccessRoleArn": None},
        {"importConfiguration": {}},
    ],
)
def test_import_requests_that_are_refused(loaded, changes):
    folder = loaded.emulator.folder.as_uri() + "/"
    body = {
        "dataAccessRoleArn": ROLE,
        "clientToken": "t",
        "inputS3Uri": folder,
        "outputS3Uri": folder,
        **changes,
    }
    reply = post(loaded, f"/startDICOMImportJob/datastore/{loaded.datastore_id}", json=body)
    assert (reply.status_code, reply.headers["x-amzn-ErrorType"]) == (400, "ValidationException")


def test_any_host_name_and_both_planes_on_one_port(loaded):
    headers = {"Host": "runtime-medical-imaging.us-east-1.amazonaws.com"}
    assert post(loaded, image_set_path(loaded, "getImageSet"), headers=headers).status_code == 200


def test_side_routes(loaded):
    side = loaded.emulator.side
    assert side("GET", "health") == {"status": "OK"}
    job = side("GET", f"jobs/{loaded.job_id}")
    assert (job["status"], job["total"], job["imported"], job["failed"]) == ("COMPLETED", 3, 3, 0)
    assert "message" in side("GET", "jobs/none")


def test_counters_count_requests_bytes_and_frames(loaded):
    document = loaded.emulator.document(loaded.datastore_id, loaded.image_set_id)
    frame_id = next(iter(instances_of(document).values()))["ImageFrames"][0]["ID"]
    loaded.emulator.side("POST", "counters/reset")
    data = [loaded.emulator.frame(loaded.datastore_id, loaded.image_set_id, frame_id) for _ in range(3)]
    counters = loaded.emulator.side("GET", "counters")
    counted = counters["operations"]["GetImageFrame"]
    assert (counted["requests"], counted["bytes"]) == (3, 3 * len(data[0]))
    assert counted["statuses"] == {"200": 3}
    assert counters["frames"] == {frame_id: 3}
    assert counters["operations"]["GetImageSetMetadata"]["requests"] == 0
