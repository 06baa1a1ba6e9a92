"""What is tried again, and what comes through at once."""

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from dicomweb_gateway.aws.buckets import translated
from dicomweb_gateway.errors import BucketError, ImportTrouble
from dicomweb_gateway.imagesets.aws_errors import NoConnection, of_answer
from dicomweb_gateway.workflow.importing.trying import may_pass


@pytest.mark.parametrize(
    ("status", "passes"),
    [
        (400, False),
        (404, False),
        (402, True),
        (403, True),
        (409, True),
        (429, True),
        (500, True),
        (503, True),
    ],
)
def test_what_healthimaging_answers(status, passes):
    assert may_pass(of_answer("StartDICOMImportJob", status, "SomeException")) is passes


def test_lost_connections_and_logs_that_are_late():
    assert may_pass(NoConnection("nobody there"))
    assert may_pass(ImportTrouble("the import job has left no manifest"))


@pytest.mark.parametrize(
    ("status", "code", "passes"),
    [
        (400, "InvalidRequest", False),
        (403, "AccessDenied", False),
        (404, "NoSuchBucket", False),
        (409, "OperationAborted", True),
        (429, "TooManyRequests", True),
        (500, "InternalError", True),
        (503, "SlowDown", True),
    ],
)
def test_what_s3_answers(status, code, passes):
    answer = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    with pytest.raises(BucketError) as caught, translated("GetObject", "b"):
        raise ClientError(answer, "GetObject")  # type: ignore[arg-type]
    assert may_pass(caught.value) is passes


@pytest.mark.parametrize(
    ("error", "passes"),
    [(EndpointConnectionError(endpoint_url="http://x"), True), (NoCredentialsError(), False)],
)
def test_s3_that_is_not_reached(error, passes):
    with pytest.raises(BucketError) as caught, translated("GetObject", "b"):
        raise error
    assert may_pass(caught.value) is passes
