"""The gateway's WSGI app: blueprints under their base paths, one error handler, CORS, access log."""

import logging
import re
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from flask import Flask, Request, Response, g, request
from werkzeug.exceptions import HTTPException

from dicomweb_gateway.access.operations import Operation
from dicomweb_gateway.errors import GatewayBusy, GatewayError, InvalidRequest
from dicomweb_gateway.patience import request_scope
from dicomweb_gateway.routes import (
    bulkdata,
    capabilities,
    dictionary,
    edits,
    frames,
    holdings,
    image_sets,
    inside,
    instances,
    login,
    metadata,
    ops,
    pages,
    pixel_levels,
    pixeldata,
    qido,
    rendered,
    stow,
    tickets,
    tlm,
    viewer,
)
from dicomweb_gateway.sight import NOTHING
from dicomweb_gateway.web.access import check_host
from dicomweb_gateway.web.admin import is_scraper
from dicomweb_gateway.web.audited import audit
from dicomweb_gateway.web.cors import add_cors, check_origin, preflight
from dicomweb_gateway.web.cross_site import check_changes
from dicomweb_gateway.web.errors import status_of
from dicomweb_gateway.web.hardening import harden
from dicomweb_gateway.web.identity import identify, keep_private, without_query_tokens
from dicomweb_gateway.web.identity_keys import BY_ADDRESS, SESSION
from dicomweb_gateway.web.lenient import lenient_answer
from dicomweb_gateway.web.limited import check_form, count, counted
from dicomweb_gateway.web.observed import FAILURE, followed, observed
from dicomweb_gateway.web.responses import error_response, gateway_error_response
from dicomweb_gateway.web.rights import BODY_BYTES, NOWHERE, PLACE, RETRIEVAL_SIGHT, SIGHT, Place, places
from dicomweb_gateway.web.service_errors import is_of_service, name_error, service_error_response
from dicomweb_gateway.web.services import EXTENSION, Services, seen_by_caller
from dicomweb_gateway.web.short_cut import Guards, ShortCut, with_short_cuts
from dicomweb_gateway.web.streams import REFUSED
from dicomweb_gateway.web.tickets import is_covered, ticket_of
from dicomweb_gateway.web.to_login import to_login

_LOG = logging.getLogger(__name__)

DICOMWEB = (
    qido.blueprint,
    metadata.blueprint,
    instances.blueprint,
    frames.blueprint,
    bulkdata.blueprint,
    rendered.blueprint,
    ops.health_blueprint,
    capabilities.blueprint,
    pixeldata.blueprint,
    stow.blueprint,
    pixel_levels.blueprint,
    holdings.blueprint,
)


def create_app(services: Services) -> Flask:
    """The app that answers with `services`; makes nothing else and starts nothing."""
    app = Flask("dicomweb_gateway", static_folder=None)
    app.url_map.strict_slashes = False
    app.config["MAX_CONTENT_LENGTH"] = services.config.max_body_bytes
    app.extensions[EXTENSION] = services
    for number, path in enumerate(services.config.ae_paths):
        for blueprint in DICOMWEB:
            app.register_blueprint(blueprint, url_prefix=path, name=f"{blueprint.name}{number}")
    app.register_blueprint(ops.blueprint)
    app.register_blueprint(pages.blueprint)
    app.register_blueprint(login.blueprint)
    app.register_blueprint(tickets.blueprint)
    app.register_blueprint(dictionary.blueprint)
    app.register_blueprint(inside.blueprint)
    app.register_blueprint(edits.blueprint)
    app.register_blueprint(tlm.blueprint)
    if services.viewer is not None:
        app.register_blueprint(viewer.blueprint)
    app.register_blueprint(image_sets.blueprint)
    guards = _guards(services)
    known = places(app, services.config.ae_paths)
    _add_guards(app, guards, known)
    short = with_short_cuts(app, _short_cuts(services), guards)
    app.wsgi_app = followed(  # type: ignore[method-assign]
        _patient(without_query_tokens(_single_slashes(short)), services.config.request_seconds)
    )
    return app


def _single_slashes(inner: Any) -> Any:
    """Doubled slashes in a path mean one (C-4): a viewer's base URL often ends with a slash of its own.

    Flask would redirect, to an address made of Host, and a browser's preflight must not be redirected.
    """

    def outer(environ: dict[str, Any], start_response: Any) -> Any:
        path = environ.get("PATH_INFO", "")
        if "//" in path:
            environ["PATH_INFO"] = re.sub("/{2,}", "/", path)
        return inner(environ, start_response)

    return outer


def _patient(inner: Any, seconds: float) -> Any:
    """Until its answer begins a request waits `seconds` in all, and not at all once its client has left."""

    def outer(environ: dict[str, Any], start_response: Any) -> Any:
        with request_scope(time.monotonic() + seconds, environ.get("waitress.client_disconnected")):
            return inner(environ, start_response)

    return outer


def _guards(services: Services) -> Guards:
    """What every request goes through, whichever way."""

    def before(request: Request, place: Place) -> None:
        request.environ[PLACE] = place
        if place.body_bytes is not None:
            request.max_content_length = min(place.body_bytes, services.config.max_body_bytes)
        check_host(request, services.config)
        check_origin(request, services.config, services.rules.origins_of)
        if REFUSED in request.environ:
            raise GatewayBusy(request.environ[REFUSED])
        try:
            if not place.is_open(request.method):
                _let_in(request, place, services)
        finally:
            # also who is not let in, by the address
            count(request, services)
        if services.audit is not None:
            services.audit.check()
        check_form(request, services.config)
        _check_query_text(request)

    def after(request: Request, response: Response, rule: str | None, began: float) -> Response:
        response = services.streams.admitted(request, response)
        response = counted(request, response, services)
        add_cors(request, response, services.config, services.rules.origins_of)
        keep_private(request, response, services)
        harden(request, response, services.config)
        audit(request, response, rule, began, services)
        observed(request, response, rule, began, services.config)
        return response

    def failed(rule: str | None, error: Exception, request: Request) -> Response:
        return to_login(request, rule, error, services) or _error_answer(rule, error, request)

    return Guards(before, failed, after)


def _let_in(request: Request, place: Place, services: Services) -> None:
    """Note who asks and what they may see; who only comes for the numbers may need no login."""
    if is_scraper(request, services.config):
        request.environ[BY_ADDRESS] = True
        return
    caller = identify(request, services)
    session = request.environ.get(SESSION)
    check_changes(request, place.operation, caller, session, services.config)
    if place.operation is not Operation.ENTER:
        sight = services.rules.sight_of(caller, place.ae_path, place.operation)
        ticket = ticket_of(request)
        request.environ[SIGHT] = sight if ticket is None or is_covered(request, place, ticket) else NOTHING
    if place.operation is Operation.IMPORT:
        seen = services.rules.sight_of(caller, place.ae_path, Operation.RETRIEVE)
        request.environ[RETRIEVAL_SIGHT] = seen


def _add_guards(app: Flask, guards: Guards, known: Mapping[str, Place]) -> None:
    @app.before_request
    def before() -> Response | None:
        g.began = time.perf_counter()
        guards.before(request, known[request.endpoint] if request.endpoint else NOWHERE)
        return preflight(request)

    @app.after_request
    def after(response: Response) -> Response:
        return guards.after(request, response, _rule(), g.get("began", time.perf_counter()))

    @app.errorhandler(Exception)
    def failed(error: Exception) -> Response:
        return guards.failed(_rule(), error, request)


def _rule() -> str | None:
    return request.url_rule.rule if request.url_rule else None


def _short_cuts(services: Services) -> list[ShortCut]:
    """Stored frames, their levels, and the answer to load balancers."""

    def listed(request: Request, **path: str) -> Response:
        return frames.listed_frames(seen_by_caller(services, request), request, **path)

    def levels(request: Request, **path: str) -> Response:
        return tlm.levels_of_frame(seen_by_caller(services, request), request, **path)

    return [
        *(
            ShortCut(_pattern(path), f"{path}{frames.FRAMES_RULE}", Place(path, Operation.RETRIEVE), listed)
            for path in services.config.ae_paths
        ),
        ShortCut(
            tlm.FRAME_PATH,
            tlm.FRAME_RULE,
            Place(None, Operation.TLM, BODY_BYTES["get_image_frame"]),
            levels,
            methods=frozenset(("GET", "POST")),
            takes_query=True,
        ),
        ShortCut(
            re.compile("/healthcheck"),
            "/healthcheck",
            Place(None, Operation.PUBLIC),
            lambda _: ops.healthcheck(),
        ),
    ]


def _pattern(ae_path: str) -> re.Pattern[str]:
    """Paths of frames below `ae_path`; what is no UID and no list of numbers is left to Flask."""
    uids = {name: f"(?P<{name}>[0-9.]+)" for name in ("study", "series", "instance")}
    below = "/studies/{study}/series/{series}/instances/{instance}/frames/(?P<frames>[0-9,]+)"
    return re.compile(re.escape(ae_path) + below.format(**uids))


def _check_query_text(request: Request) -> None:
    """A query that is not UTF-8 is refused, not guessed at (Q-6)."""
    if not request.query_string:
        return
    try:
        unquote_to_bytes(request.query_string).decode()
    except UnicodeDecodeError:
        raise InvalidRequest("the query is not valid UTF-8") from None


def _error_answer(rule: str | None, error: Exception, request: Request) -> Response:
    """The answer to whatever a request raised."""
    request.environ[FAILURE] = type(error).__name__
    lenient = lenient_answer(request, error)
    if lenient is not None:
        return lenient
    of_service = is_of_service(rule or request.path)
    response = _answer_to(rule, error, service_error_response if of_service else gateway_error_response)
    return name_error(response) if of_service else response


def _answer_to(
    rule: str | None, error: Exception, of_gateway: Callable[[GatewayError], Response]
) -> Response:
    if isinstance(error, GatewayError):
        if status_of(error) >= 500:
            _LOG.warning("%s: %s (%s)", type(error).__name__, error, error.__cause__.__class__.__name__)
        return of_gateway(error)
    if isinstance(error, HTTPException):
        response = error_response(error.code or 500, error.description or error.name)
        allow = error.get_response().headers.get("Allow")
        if allow:
            response.headers["Allow"] = allow
        return response
    _LOG.error("%s in %s", type(error).__name__, rule, exc_info=error)
    return error_response(500, "the gateway failed; the reason is in its log")
