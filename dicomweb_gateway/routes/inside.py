"""What administrators and Prometheus see of the gateway itself: `/metrics` and `/status`."""

from flask import Blueprint, Response, request

from dicomweb_gateway.dicom.json_model import dumps
from dicomweb_gateway.errors import InvalidRequest
from dicomweb_gateway.web.admin import METRICS_PATH, check_admin, is_scraper
from dicomweb_gateway.web.headers import add_vary
from dicomweb_gateway.web.metrics import exposition
from dicomweb_gateway.web.page import page_response
from dicomweb_gateway.web.page_view import view_of
from dicomweb_gateway.web.services import services
from dicomweb_gateway.web.static_files import own_files
from dicomweb_gateway.web.status import status_facts
from dicomweb_gateway.web.status_page import status_main

_REFRESH_SECONDS = 15

blueprint = Blueprint("inside", __name__)


@blueprint.get(METRICS_PATH)
def tell_metrics() -> Response:
    """The numbers of all processes together, in Prometheus' text form or OpenMetrics."""
    gateway = services()
    if not is_scraper(request, gateway.config):
        check_admin(request, gateway.config)
    body, content_type = exposition(request.headers.get("Accept", ""), gateway.about.gauges())
    return _fresh(Response(body, content_type=content_type))


@blueprint.get("/status")
def show_status() -> Response:
    """Health, traffic, caches, recent errors and settings: a page, or JSON by Accept or `?format=json`."""
    gateway = services()
    check_admin(request, gateway.config)
    form = request.args.get("format")
    if form not in (None, "json", "html"):
        raise InvalidRequest("format must be json or html")
    if form is None:
        best = request.accept_mimetypes.best_match(["text/html", "application/json"], "text/html")
        form = "json" if best == "application/json" else "html"
    facts = status_facts(gateway)
    if form == "json":
        return _fresh(Response(dumps(facts), content_type="application/json"))
    view = view_of(request, gateway)
    response = page_response(
        view, own_files(), "Status", status_main(facts, view.prefix), "status", here="/status"
    )
    if view.session is None:
        # a page that reloads by itself would keep a session from ever being idle
        response.headers["Refresh"] = str(_REFRESH_SECONDS)
    return _fresh(response)


def _fresh(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    add_vary(response, "Accept")
    return response
