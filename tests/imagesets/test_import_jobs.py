"""Import jobs over the SDK's own stub (healthimaging.md 1.2, 4.1)."""

from datetime import UTC, datetime

import pytest
from botocore.stub import Stubber

from dicomweb_gateway.errors import UpstreamDenied, UpstreamNotFound
from dicomweb_gateway.imagesets.import_jobs import ImportJob, ImportJobs

STORE, JOB = "d" * 32, "a" * 32
ROLE = "arn:aws:iam::123456789012:role/import"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def stubbed(monkeypatch):
    """(jobs, stub): every call must be announced to the stub."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    jobs = ImportJobs("http://127.0.0.1:1", "us-east-1")
    with Stubber(jobs._client) as stub:
        yield jobs, stub
        stub.assert_no_pending_responses()


def page(*names, following=None):
    rows = [
        {"datastoreId": name[0] * 32, "datastoreName": name, "datastoreStatus": "ACTIVE"} for name in names
    ]
    return {"datastoreSummaries": rows, **({"nextToken": following} if following else {})}


def test_a_store_is_found_on_any_page(stubbed):
    jobs, stub = stubbed
    stub.add_response("list_datastores", page("other", following="more"), {"datastoreStatus": "ACTIVE"})
    stub.add_response("list_datastores", page("demo"), {"datastoreStatus": "ACTIVE", "nextToken": "more"})
    assert jobs.ensure_data_store("demo") == "d" * 32


def test_a_store_is_made_when_there_is_none(stubbed):
    jobs, stub = stubbed
    stub.add_response("list_datastores", page("other"), {"datastoreStatus": "ACTIVE"})
    made = {"datastoreId": STORE, "datastoreStatus": "CREATING"}
    stub.add_response("create_datastore", made, {"datastoreName": "demo"})
    assert jobs.ensure_data_store("demo") == STORE


def test_a_job_from_start_to_end(stubbed):
    jobs, stub = stubbed
    stub.add_response(
        "start_dicom_import_job",
        {"datastoreId": STORE, "jobId": JOB, "jobStatus": "SUBMITTED", "submittedAt": NOW},
        {
            "datastoreId": STORE,
            "inputS3Uri": "s3://in/a/",
            "outputS3Uri": "s3://out/b/",
            "dataAccessRoleArn": ROLE,
            "clientToken": "token",
        },
    )
    job = jobs.start(STORE, "s3://in/a/", "s3://out/b/", ROLE, "token")
    assert job == ImportJob(STORE, JOB, "SUBMITTED", "s3://out/b/")
    assert not job.has_ended
    properties = {
        "jobId": JOB,
        "jobName": "n",
        "jobStatus": "FAILED",
        "datastoreId": STORE,
        "dataAccessRoleArn": ROLE,
        "submittedAt": NOW,
        "inputS3Uri": "s3://in/a/",
        "outputS3Uri": "s3://out/b/job/",
        "message": "no such bucket",
    }
    stub.add_response(
        "get_dicom_import_job", {"jobProperties": properties}, {"datastoreId": STORE, "jobId": JOB}
    )
    ended = jobs.look(job)
    assert ended == ImportJob(STORE, JOB, "FAILED", "s3://out/b/job/", "no such bucket")
    assert ended.has_ended


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [("AccessDeniedException", 403, UpstreamDenied), ("ResourceNotFoundException", 404, UpstreamNotFound)],
)
def test_errors_of_the_sdk_become_ours(stubbed, code, status, error):
    jobs, stub = stubbed
    stub.add_client_error("get_dicom_import_job", code, "no", status)
    with pytest.raises(error):
        jobs.look(ImportJob(STORE, JOB, "SUBMITTED", "s3://out/"))
