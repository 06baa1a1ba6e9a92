"""The gateway's WSGI app: blueprints under their base paths, one error handler, CORS, access log."""

import logging
import re
import time
from typing import Any
from urllib.parse import unquote_to_bytes

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from dicomweb_gateway.errors import GatewayBusy, GatewayError, InvalidRequest
from dicomweb_gateway.patience import request_scope
from dicomweb_gateway.routes import (
    bulkdata,
    capabilities,
    frames,
    instances,
    metadata,
    ops,
    pixeldata,
    qido,
    rendered,
    tlm,
)
from dicomweb_gateway.web.access import add_cors, check_host
from dicomweb_gateway.web.errors import status_of
from dicomweb_gateway.web.responses import error_response, gateway_error_response
from dicomweb_gateway.web.services import EXTENSION, Services
from dicomweb_gateway.web.streams import REFUSED

_LOG = logging.getLogger(__name__)
_MAX_BODY = 1 << 20
"""Bytes of a request body; no route of this version takes a large one."""

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
)


def create_app(services: Services) -> Flask:
    """The app that answers with `services`; makes nothing else and starts nothing."""
    app = Flask("dicomweb_gateway", static_folder=None)
    app.url_map.strict_slashes = False
    app.config["MAX_CONTENT_LENGTH"] = _MAX_BODY
    app.extensions[EXTENSION] = services
    for number, path in enumerate(services.config.ae_paths):
        for blueprint in DICOMWEB:
            app.register_blueprint(blueprint, url_prefix=path, name=f"{blueprint.name}{number}")
    app.register_blueprint(ops.blueprint)
    app.register_blueprint(tlm.blueprint)
    _add_guards(app, services)
    _add_error_handlers(app)
    app.wsgi_app = _patient(  # type: ignore[method-assign]
        _single_slashes(app.wsgi_app), services.config.request_seconds
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


def _add_guards(app: Flask, services: Services) -> None:
    @app.before_request
    def before() -> None:
        g.started = time.perf_counter()
        check_host(request, services.config)
        if REFUSED in request.environ:
            raise GatewayBusy(request.environ[REFUSED])
        _check_query_text()

    @app.after_request
    def after(response: Response) -> Response:
        response = services.streams.admitted(request, response)
        add_cors(request, response, services.config)
        _log_access(response)
        return response


def _check_query_text() -> None:
    """A query that is not UTF-8 is refused, not guessed at (Q-6)."""
    if not request.query_string:
        return
    try:
        unquote_to_bytes(request.query_string).decode()
    except UnicodeDecodeError:
        raise InvalidRequest("the query is not valid UTF-8") from None


def _log_access(response: Response) -> None:
    """One line a request, with the route's pattern: paths and queries hold what patients are found by."""
    rule = request.url_rule.rule if request.url_rule else "unknown route"
    milliseconds = (time.perf_counter() - g.get("started", time.perf_counter())) * 1000
    _LOG.info("%s %s %d %.1f ms", request.method, rule, response.status_code, milliseconds)


def _add_error_handlers(app: Flask) -> None:
    @app.errorhandler(GatewayError)
    def ours(error: GatewayError) -> Response:
        if status_of(error) >= 500:
            _LOG.warning("%s: %s (%s)", type(error).__name__, error, error.__cause__.__class__.__name__)
        return gateway_error_response(error)

    @app.errorhandler(HTTPException)
    def from_werkzeug(error: HTTPException) -> Response:
        response = error_response(error.code or 500, error.description or error.name)
        allow = error.get_response().headers.get("Allow")
        if allow:
            response.headers["Allow"] = allow
        return response

    @app.errorhandler(Exception)
    def unforeseen(error: Exception) -> Response:
        _LOG.error("%s in %s", type(error).__name__, request.url_rule, exc_info=error)
        return error_response(500, "the gateway failed; the reason is in its log")
