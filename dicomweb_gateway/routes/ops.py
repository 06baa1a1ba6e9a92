"""Health for people, scripts and load balancers (DESIGN 4; dicomweb.md S-3)."""

from flask import Blueprint, Response, request
from markupsafe import escape

from dicomweb_gateway.web.hardening import PAGE_POLICY
from dicomweb_gateway.web.links import base_url
from dicomweb_gateway.web.observed import FAILURE
from dicomweb_gateway.web.responses import error_response
from dicomweb_gateway.web.services import services
from dicomweb_gateway.web.viewer import MOUNT

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


@blueprint.get("/")
def home() -> Response:
    """A page for people who open the address in a browser; 200 for scripts that look here (S-3)."""
    path = escape(base_url(request, services().config))
    text = (
        "<!doctype html><html lang=en><meta charset=utf-8><title>dicomweb-gateway</title>"
        f"<h1>dicomweb-gateway</h1><p>Point a DICOMweb viewer at <code>{path}</code>."
        f'<p><a href="{path}/studies?limit=25">Studies</a> &middot; <a href="health">Health</a>'
        ' &middot; <a href="status">Status</a>'
    )
    if services().viewer is not None:
        text += f' &middot; <a href="{MOUNT.lstrip("/")}">Viewer</a>'
    response = Response(text, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = PAGE_POLICY
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.get("/healthcheck")
def healthcheck() -> Response:
    """200 as soon as this process serves: for load balancers that must not take a node out lightly."""
    response = Response("", content_type="text/plain; charset=utf-8")
    response.headers["Cache-Control"] = "no-store"
    return response
