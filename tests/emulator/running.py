"""A running emulator in tests: client, raw requests, imports that are waited for."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import requests
from botocore.config import Config

from dicomweb_gateway.emulator.config import EmulatorConfig
from dicomweb_gateway.emulator.server import serving

ROLE = "arn:aws:iam::123456789012:role/import"
PATIENCE = 120


def client_of(url: str) -> Any:
    return boto3.client(
        "medical-imaging",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(inject_host_prefix=False, retries={"total_max_attempts": 1, "mode": "standard"}),
    )


class RunningEmulator:
    """One emulator by its URL; `client` is boto3's, which sees every failure at once."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.client = client_of(url)

    def datastore(self, **members: Any) -> str:
        return str(self.client.create_datastore(datastoreName="test", **members)["datastoreId"])

    def start(self, datastore_id: str, source: Path, **members: Any) -> str:
        reply = self.client.start_dicom_import_job(
            datastoreId=datastore_id,
            dataAccessRoleArn=ROLE,
            inputS3Uri=source.as_uri() + ("/" if source.is_dir() else ""),
            outputS3Uri=(self.folder / "out").as_uri() + "/",
            **members,
        )
        return str(reply["jobId"])

    def wait(self, datastore_id: str, job_id: str) -> dict[str, Any]:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            job = self.client.get_dicom_import_job(datastoreId=datastore_id, jobId=job_id)["jobProperties"]
            if job["jobStatus"] in ("COMPLETED", "FAILED"):
                return dict(job)
            time.sleep(0.05)
        raise AssertionError(f"job {job_id} did not end")

    def load(self, datastore_id: str, source: Path) -> "JobLogs":
        job = self.wait(datastore_id, self.start(datastore_id, source))
        assert job["jobStatus"] == "COMPLETED", job
        return JobLogs(Path(job["outputS3Uri"].removeprefix("file://")))

    def image_sets(self, datastore_id: str) -> list[dict[str, Any]]:
        pages = self.client.get_paginator("search_image_sets").paginate(
            datastoreId=datastore_id, searchCriteria={}
        )
        return [entry for page in pages for entry in page["imageSetsMetadataSummaries"]]

    def document(self, datastore_id: str, image_set_id: str, version: str | None = None) -> dict[str, Any]:
        # requests undoes the Content-Encoding, as HTTP wants it.
        reply = requests.post(
            f"{self.url}/datastore/{datastore_id}/imageSet/{image_set_id}/getImageSetMetadata",
            params={"version": version} if version else {},
            timeout=PATIENCE,
        )
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    def frame(self, datastore_id: str, image_set_id: str, frame_id: str) -> bytes:
        reply = self.client.get_image_frame(
            datastoreId=datastore_id,
            imageSetId=image_set_id,
            imageFrameInformation={"imageFrameId": frame_id},
        )
        return bytes(reply["imageFrameBlob"].read())

    def side(self, method: str, path: str, **options: Any) -> Any:
        reply = requests.request(method, f"{self.url}/_emulator/{path}", timeout=PATIENCE, **options)
        return reply.json()


class JobLogs:
    """What a job left in its output folder."""

    def __init__(self, folder: Path) -> None:
        self.summary: dict[str, Any] = json.loads((folder / "job-output-manifest.json").read_text())[
            "jobSummary"
        ]
        self.success = self._lines(folder / "SUCCESS" / "success.ndjson")
        self.failure = self._lines(folder / "FAILURE" / "failure.ndjson")
        self.warning = self._lines(folder / "WARNING" / "warning.ndjson")

    @staticmethod
    def _lines(path: Path) -> list[dict[str, Any]]:
        return [json.loads(line) for line in path.read_text().splitlines()]

    @property
    def reasons(self) -> dict[str, str]:
        """File name to the reason of its failure."""
        return {Path(line["inputFile"]).name: line["exception"]["message"] for line in self.failure}

    @property
    def warnings(self) -> dict[str, str]:
        """File name to its warning."""
        return {
            Path(line["inputFile"]).name: line["importResponse"]["warnings"][0]["message"]
            for line in self.warning
        }


@contextmanager
def running(folder: Path, **options: Any) -> Iterator[RunningEmulator]:
    """An emulator in this process, on a free port, its store below `folder`."""
    with serving(EmulatorConfig(data_dir=folder / "store", **options)) as server:
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            yield RunningEmulator(f"http://127.0.0.1:{server.port}", folder)
        finally:
            server.stop()
            thread.join()


def instances_of(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        uid: instance
        for series in document["Study"]["Series"].values()
        for uid, instance in series["Instances"].items()
    }
