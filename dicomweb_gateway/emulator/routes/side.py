"""Routes that the real service does not have: counters, switches, health, job progress."""

from dataclasses import asdict

from flask import Blueprint, Response, request

from dicomweb_gateway.emulator.catalogue import Row
from dicomweb_gateway.emulator.errors import NotFound
from dicomweb_gateway.emulator.ingest.progress import JobProgress
from dicomweb_gateway.emulator.jobs import outcomes_of
from dicomweb_gateway.emulator.services import Services
from dicomweb_gateway.emulator.wire import json_answer, json_body

PREFIX = "/_emulator"


def side_routes(services: Services) -> Blueprint:
    """Everything under `/_emulator/`; not counted, never made to fail."""
    routes = Blueprint("side", __name__, url_prefix=PREFIX)

    @routes.get("/health")
    def health() -> Response:
        services.storage.catalogue.one("SELECT 1 FROM datastore LIMIT 1")
        return json_answer({"status": "OK"})

    @routes.get("/counters")
    def counters() -> Response:
        return json_answer(services.counters.snapshot())

    @routes.post("/counters/reset")
    def reset() -> Response:
        services.counters.reset()
        return json_answer({})

    @routes.get("/faults")
    def faults() -> Response:
        return json_answer(asdict(services.mishaps.faults))

    @routes.put("/faults")
    def change_faults() -> Response:
        return json_answer(asdict(services.mishaps.change(json_body(request))))

    @routes.get("/jobs/<job_id>")
    def progress(job_id: str) -> Response:
        row = services.storage.catalogue.one("SELECT * FROM job WHERE id = ?", (job_id,))
        if row is None:
            raise NotFound(f"Import job {job_id} does not exist")
        return json_answer(
            {"status": row["status"], "message": row["message"], **asdict(_progress(services, row))}
        )

    return routes


def _progress(services: Services, job: Row) -> JobProgress:
    """The progress of a running job; of one of an earlier life, what its outcomes say."""
    progress = services.importer.progress(job["id"])
    if progress is None:
        outcomes = outcomes_of(services.storage.catalogue, job["id"])
        progress = JobProgress(total=len(outcomes), scanned=len(outcomes))
        progress.count(outcomes)
    return progress
