"""StartDICOMImportJob, GetDICOMImportJob, ListDICOMImportJobs."""

import re
from typing import Any

from flask import Blueprint, Response, request

from dicomweb_gateway.emulator.catalogue import Row
from dicomweb_gateway.emulator.datastores import find_datastore
from dicomweb_gateway.emulator.errors import InvalidRequest
from dicomweb_gateway.emulator.ingest.places import Places
from dicomweb_gateway.emulator.jobs import (
    COMPLETED,
    FAILED,
    IN_PROGRESS,
    SUBMITTED,
    find_job,
    list_jobs,
    submit_job,
)
from dicomweb_gateway.emulator.pages import page_offset, page_size, write_token
from dicomweb_gateway.emulator.services import Services
from dicomweb_gateway.emulator.wire import json_answer, json_body, require_ids, seconds, text_member

_STATUSES = (SUBMITTED, IN_PROGRESS, COMPLETED, FAILED)
_JOB_NAME = re.compile(r"[A-Za-z0-9._/#-]{1,64}")
_LONGEST_URI = 1024


def job_routes(services: Services) -> Blueprint:
    """The operations on import jobs; input and output are `file:///folder/` or, with an S3, `s3://` URIs."""
    routes = Blueprint("jobs", __name__)
    catalogue = services.storage.catalogue

    @routes.post("/startDICOMImportJob/datastore/<datastore_id>", endpoint="StartDICOMImportJob")
    def start(datastore_id: str) -> Response:
        require_ids(datastoreId=datastore_id)
        find_datastore(catalogue, datastore_id)
        row = submit_job(catalogue, datastore_id=datastore_id, **_wanted(json_body(request), services.places))
        services.importer.wake()
        return json_answer(
            {
                "datastoreId": datastore_id,
                "jobId": row["id"],
                "jobStatus": row["status"],
                "submittedAt": seconds(row["submitted"]),
            }
        )

    @routes.get("/getDICOMImportJob/datastore/<datastore_id>/job/<job_id>", endpoint="GetDICOMImportJob")
    def get(datastore_id: str, job_id: str) -> Response:
        require_ids(datastoreId=datastore_id, jobId=job_id)
        find_datastore(catalogue, datastore_id)
        return json_answer({"jobProperties": _properties(find_job(catalogue, datastore_id, job_id))})

    @routes.get("/listDICOMImportJobs/datastore/<datastore_id>", endpoint="ListDICOMImportJobs")
    def listing(datastore_id: str) -> Response:
        require_ids(datastoreId=datastore_id)
        find_datastore(catalogue, datastore_id)
        status = request.args.get("jobStatus")
        if status is not None and status not in _STATUSES:
            raise InvalidRequest(f"jobStatus must be one of {', '.join(_STATUSES)}")
        size, offset = page_size(request.args), page_offset(request.args)
        rows = list_jobs(catalogue, datastore_id, status, size + 1, offset)
        return json_answer(
            {
                "jobSummaries": [_summary(row) for row in rows[:size]],
                "nextToken": write_token(offset + size) if len(rows) > size else None,
            }
        )

    return routes


def _wanted(body: dict[str, Any], places: Places) -> dict[str, Any]:
    """The checked members of a start request."""
    name = text_member(body, "jobName", longest=64)
    if name is not None and not _JOB_NAME.fullmatch(name):
        raise InvalidRequest("jobName must be 1 to 64 letters, digits or ._/#-")
    if body.get("importConfiguration") is not None:
        raise InvalidRequest("importConfiguration is not supported by this emulator")
    source = str(text_member(body, "inputS3Uri", required=True, longest=_LONGEST_URI))
    target = str(text_member(body, "outputS3Uri", required=True, longest=_LONGEST_URI))
    places.check_input(source)
    places.check_output(target)
    return {
        "name": name,
        "client_token": text_member(body, "clientToken", required=True, longest=64),
        "role_arn": text_member(body, "dataAccessRoleArn", required=True),
        "input_uri": source,
        "output_uri": target if target.endswith("/") else f"{target}/",
    }


def _summary(row: Row) -> dict[str, Any]:
    return {
        "jobId": row["id"],
        "jobName": row["name"],
        "jobStatus": row["status"],
        "datastoreId": row["datastore_id"],
        "dataAccessRoleArn": row["role_arn"],
        "submittedAt": seconds(row["submitted"]),
        "endedAt": seconds(row["ended"]),
        "message": row["message"],
    }


def _properties(row: Row) -> dict[str, Any]:
    return {**_summary(row), "inputS3Uri": row["input_uri"], "outputS3Uri": row["output_uri"]}
