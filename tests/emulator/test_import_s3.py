"""Import jobs that read from S3 and write their logs there (healthimaging.md 4.1)."""

import json
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.buckets import aws_server, bucket, buckets
from tests.emulator.files import ct_slice, save
from tests.emulator.running import ROLE, running

__all__ = ["aws_server", "bucket", "buckets"]


@pytest.fixture(scope="module")
def emulator(aws_server, tmp_path_factory):
    with running(tmp_path_factory.mktemp("s3"), workers=1, s3_endpoint=aws_server) as made:
        yield made


def start(emulator, store, source, target, **members):
    reply = emulator.client.start_dicom_import_job(
        datastoreId=store, dataAccessRoleArn=ROLE, inputS3Uri=source, outputS3Uri=target, **members
    )
    return emulator.wait(store, reply["jobId"])


def test_objects_come_in_and_logs_go_out_under_their_keys(emulator, buckets, bucket, tmp_path):
    for number in (1, 2):
        buckets.put_file(bucket, f"in/a b/{number}", save(ct_slice(number), tmp_path / str(number)))
    buckets.put_file(bucket, "in/../../twice.dcm", tmp_path / "1")
    buckets.put(bucket, "in/README", b"# no DICOM at all\n" * 20)
    buckets.put(bucket, "in/folder/", b"")
    buckets.put_file(bucket, "other/3.dcm", save(ct_slice(3), tmp_path / "3"))
    store = emulator.datastore()
    job = start(emulator, store, f"s3://{bucket}/in/", f"s3://{bucket}/out/")
    assert job["jobStatus"] == "COMPLETED"
    prefix = f"out/{store}-DicomImport-{job['jobId']}/"
    assert job["outputS3Uri"] == f"s3://{bucket}/{prefix}"
    read = {one.key.removeprefix(prefix): one.key for one in buckets.objects(bucket, prefix)}
    assert sorted(read) == [
        "FAILURE/failure.ndjson",
        "SUCCESS/success.ndjson",
        "WARNING/warning.ndjson",
        "job-output-manifest.json",
    ]
    logs = {name: buckets.read(bucket, key).decode() for name, key in read.items()}
    summary = json.loads(logs["job-output-manifest.json"])["jobSummary"]
    assert (summary["numberOfScannedFiles"], summary["numberOfImportedFiles"]) == (4, 2)
    [found] = emulator.image_sets(store)
    assert [one["imageSetId"] for one in summary["imageSetsSummary"]] == [found["imageSetId"]]
    done = {json.loads(line)["inputFile"] for line in logs["SUCCESS/success.ndjson"].splitlines()}
    assert done == {"in/../../twice.dcm", "in/a b/2"}
    [failure] = map(json.loads, logs["FAILURE/failure.ndjson"].splitlines())
    assert failure["inputFile"] == "in/README"
    [warning] = map(json.loads, logs["WARNING/warning.ndjson"].splitlines())
    assert warning["inputFile"] == "in/a b/1"
    assert str(emulator.folder) not in "".join(logs.values())
    staging = Path(emulator.folder) / "store" / "staging"
    assert list(staging.iterdir()) == []


def test_a_bucket_that_is_not_there_fails_the_job(emulator, bucket):
    store = emulator.datastore()
    job = start(emulator, store, "s3://no-such-bucket-here/in/", f"s3://{bucket}/out/")
    assert job["jobStatus"] == "FAILED"
    assert "NoSuchBucket" in job["message"]


@pytest.mark.parametrize("uri", ["s3://", "s3://UPPER/x/", "s3://a..b/x/", "http://bucket/x/"])
def test_what_is_no_uri_is_refused_at_once(emulator, uri):
    with pytest.raises(ClientError, match="ValidationException"):
        start(emulator, emulator.datastore(), uri, "s3://bucket/out/")


def test_without_an_s3_that_is_said(tmp_path):
    with running(tmp_path, workers=1) as emulator, pytest.raises(ClientError, match="--s3-endpoint"):
        start(emulator, emulator.datastore(), "s3://bucket/in/", "s3://bucket/out/")
