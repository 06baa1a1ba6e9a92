"""Health for people, scripts and load balancers (DESIGN 4; dicomweb.md S-3)."""

from flask import Blueprint, Response, request

from dicomweb_gateway.web.observed import FAILURE
from dicomweb_gateway.web.responses import error_response
from dicomweb_gateway.web.services import services

blueprint = Blueprint("ops", __name__)
health_blueprint = Blueprint("health", __name__)


@blueprint.get("/health")
@health_blueprint.get("/health")
def health() -> Response:
    """200 `OK` when index, frame store and fetchers answer; 503 naming the part that does not."""
    report = services().health()
    if report.failing is not None:
        request.environ[FAILURE] = report.failing
        return error_response(503, report.failing, retry_after=2)
    response = Response("OK", content_type="text/plain; charset=utf-8")
    response.headers["Cache-Control"] = "no-store"
    for note in report.notes:
        response.headers.add("Warning", f'199 - "{note}"')
    return response


@blueprint.get("/healthcheck")
def healthcheck() -> Response:
    """200 as soon as this process serves: for load balancers that must not take a node out lightly."""
    response = Response("", content_type="text/plain; charset=utf-8")
    response.headers["Cache-Control"] = "no-store"
    return response
