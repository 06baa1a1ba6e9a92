"""HealthImaging as a WSGI app: operations, switches, counters, errors."""

import hashlib
import logging
import time
from typing import Any
from wsgiref.handlers import format_date_time

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from dicomweb_gateway.emulator.chunked_signing import CHAIN, STREAMING
from dicomweb_gateway.emulator.config import EmulatorConfig
from dicomweb_gateway.emulator.errors import InternalFailure, InvalidRequest, ServiceError, UnknownOperation
from dicomweb_gateway.emulator.routes.changes import change_routes
from dicomweb_gateway.emulator.routes.datastores import datastore_routes
from dicomweb_gateway.emulator.routes.dicomweb import dicomweb_routes
from dicomweb_gateway.emulator.routes.image_sets import image_set_routes
from dicomweb_gateway.emulator.routes.jobs import job_routes
from dicomweb_gateway.emulator.routes.side import side_routes
from dicomweb_gateway.emulator.services import Services, open_services
from dicomweb_gateway.emulator.signatures import SignedRequest, access_key_of, check_clock, check_signature
from dicomweb_gateway.emulator.wire import error_answer
from dicomweb_gateway.emulator.wire_faults import WIRE_FAULT

SERVICES = "emulator"
"""Key in `app.extensions` under which the app's Services are; whoever makes the app closes them."""

log = logging.getLogger(__name__)


def create_emulator_app(config: EmulatorConfig) -> Flask:
    """The emulator over the folder of `config`, its import thread running.

    SettingsError when another emulator uses the folder. Close with `services_of(app).close()`.
    """
    services = open_services(config)
    app = Flask(__name__, static_folder=None)
    app.extensions[SERVICES] = services
    for routes in (datastore_routes, job_routes, image_set_routes, change_routes, dicomweb_routes):
        app.register_blueprint(routes(services))
    app.register_blueprint(side_routes(services))
    _count_and_disturb(app, services)
    _answer_errors(app)
    return app


def services_of(app: Flask) -> Services:
    """The parts behind an app."""
    services: Services = app.extensions[SERVICES]
    return services


def _operation() -> str | None:
    """The operation of the current request; None for side routes and unknown paths."""
    blueprint, _, operation = (request.endpoint or "").rpartition(".")
    return operation if operation and blueprint != "side" else None


def _count_and_disturb(app: Flask, services: Services) -> None:
    mishaps = services.mishaps

    @app.before_request
    def begin() -> None:
        operation = _operation()
        if operation is None:
            return
        g.counted = operation
        services.counters.begin(operation)
        headers = {name.lower(): value for name, value in request.headers}
        has_left = request.environ.get("waitress.client_disconnected", lambda: False)
        g.struck = mishaps.before(operation, access_key_of(headers), has_left)
        _check_caller(services, headers)

    @app.after_request
    def end(response: Response) -> Response:
        operation = g.pop("counted", None)
        if operation is not None:
            if mishaps.faults.clock_ahead:
                response.headers["Date"] = format_date_time(_now(services))
            struck = g.pop("struck", ())
            if struck:
                response.set_data(mishaps.spoilt(struck, response.get_data()))
                request.environ[WIRE_FAULT] = mishaps.wire_fault(struck)
            services.counters.end(operation, response.status_code, response.content_length or 0)
        return response


def _now(services: Services) -> float:
    """The service's time, epoch seconds."""
    return time.time() + services.mishaps.faults.clock_ahead


def _check_caller(services: Services, headers: dict[str, str]) -> None:
    """Refuse what is signed at the wrong time or, where signatures are verified, wrongly."""
    secrets = services.config.verify_signatures
    if secrets or services.mishaps.faults.clock_ahead:
        check_clock(headers, _now(services))
    if secrets:
        target = request.environ.get("REQUEST_URI") or request.full_path
        signed = SignedRequest(request.method, target, headers, b"", _body_digest(headers))
        request.environ[CHAIN] = check_signature(signed, secrets, services.config.region)


def _body_digest(headers: dict[str, str]) -> str:
    """SHA-256 of the body, which is not held in memory."""
    if headers.get("x-amz-content-sha256") == STREAMING:
        return ""
    body: Any = request.environ["wsgi.input"]
    if not body.seekable():
        return hashlib.sha256(request.get_data()).hexdigest()
    digest = hashlib.file_digest(body, "sha256").hexdigest()
    body.seek(0)
    return digest


def _answer_errors(app: Flask) -> None:
    @app.errorhandler(ServiceError)
    def known(error: ServiceError) -> Response:
        return error_answer(error)

    @app.errorhandler(HTTPException)
    def outside(error: HTTPException) -> Response:
        if error.code in (404, 405):
            return error_answer(
                UnknownOperation(f"This emulator has no operation {request.method} {request.path}")
            )
        return error_answer(InvalidRequest(error.description or "The request is malformed"))

    @app.errorhandler(Exception)
    def unforeseen(error: Exception) -> Response:
        log.error("%s %s failed", request.method, request.path, exc_info=error)
        return error_answer(InternalFailure("An internal error occurred"))
