"""Import jobs of a HealthImaging data store, and the data store for them (healthimaging.md 4.1)."""

from dataclasses import dataclass
from typing import Any

from dicomweb_gateway.imagesets.aws_client import ClientSettings, make_client
from dicomweb_gateway.imagesets.aws_errors import translated

ENDED = ("COMPLETED", "FAILED")


@dataclass(frozen=True, slots=True)
class ImportJob:
    """One job; `status` is SUBMITTED, IN_PROGRESS, COMPLETED or FAILED, `output_uri` where its logs lie."""

    datastore_id: str
    job_id: str
    status: str
    output_uri: str
    message: str | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.status in ENDED


class ImportJobs:
    """The calls around an import; each raises the UpstreamError that fits."""

    def __init__(self, endpoint_url: str | None, region: str | None) -> None:
        self._client: Any = make_client(ClientSettings(endpoint_url, region))

    def ensure_data_store(self, name: str) -> str:
        """The id of the ACTIVE data store called `name`, made when there is none."""
        with translated("ListDatastores"):
            pages = self._client.get_paginator("list_datastores").paginate(datastoreStatus="ACTIVE")
            for page in pages:
                for row in page["datastoreSummaries"]:
                    if row.get("datastoreName") == name:
                        return str(row["datastoreId"])
        with translated("CreateDatastore"):
            return str(self._client.create_datastore(datastoreName=name)["datastoreId"])

    def start(
        self,
        datastore_id: str,
        input_uri: str,
        output_uri: str,
        role_arn: str,
        client_token: str,
        name: str | None = None,
    ) -> ImportJob:
        """Start a job; the same `client_token` again gives the same job."""
        named = {} if name is None else {"jobName": name}
        with translated("StartDICOMImportJob"):
            answer = self._client.start_dicom_import_job(
                **named,
                datastoreId=datastore_id,
                inputS3Uri=input_uri,
                outputS3Uri=output_uri,
                dataAccessRoleArn=role_arn,
                clientToken=client_token,
            )
        return ImportJob(datastore_id, answer["jobId"], answer["jobStatus"], output_uri)

    def named(self, datastore_id: str, name: str) -> ImportJob | None:
        """The newest job called `name`, None when there is none; jobs stay listed for 90 days."""
        with translated("ListDICOMImportJobs"):
            pages = self._client.get_paginator("list_dicom_import_jobs").paginate(datastoreId=datastore_id)
            rows = (row for page in pages for row in page.get("jobSummaries") or ())
            found = next((row for row in rows if row.get("jobName") == name), None)
        return found and self.look(ImportJob(datastore_id, found["jobId"], found["jobStatus"], ""))

    def close(self) -> None:
        """Leave no connection open."""
        self._client.close()

    def look(self, job: ImportJob) -> ImportJob:
        """The job as it now stands."""
        with translated("GetDICOMImportJob"):
            found = self._client.get_dicom_import_job(datastoreId=job.datastore_id, jobId=job.job_id)
        properties = found["jobProperties"]
        return ImportJob(
            job.datastore_id,
            job.job_id,
            properties["jobStatus"],
            properties["outputS3Uri"],
            properties.get("message"),
        )
