"""Limits of what one client asks at once, and of what one request may look like (429, 400)."""

from functools import partial

from flask import Request, Response

from dicomweb_gateway.access.addresses import client_key
from dicomweb_gateway.access.client_limits import ClientLimits
from dicomweb_gateway.access.shared_counts import Ticket
from dicomweb_gateway.errors import InvalidRequest, TooManyRequests
from dicomweb_gateway.web.client import QUERY_TOKENS, address_of, counted_as
from dicomweb_gateway.web.endings import Ending, at_end
from dicomweb_gateway.web.responses import gateway_error_response
from dicomweb_gateway.web.services import Services, WebConfig

_TICKET = "dicomweb_gateway.limits_ticket"
_UNCOUNTED = "/healthcheck"
"""What load balancers ask, all from one address."""


def check_form(request: Request, config: WebConfig) -> None:
    """InvalidRequest for an address that others may read differently, or a query of too many parameters.

    An escaped slash or NUL in the path is refused: a proxy in front may take it for a part of a name.
    """
    path, _, query = request.environ.get("REQUEST_URI", "").partition("?")
    if "%" in path:
        lower = path.lower()
        if "%2f" in lower or "%00" in lower:
            raise InvalidRequest("the path holds an escaped slash or NUL")
    if query.count("&") >= config.max_query_parameters:
        raise InvalidRequest(f"the query has more than {config.max_query_parameters} parameters")


def count(request: Request, services: Services) -> None:
    """Count the request for its client until its answer is over; TooManyRequests."""
    limits = services.limits
    if limits is None or request.method == "OPTIONS" or request.path == _UNCOUNTED:
        return
    ticket = limits.enter(counted_as(request, services.config))
    if ticket is not None:
        request.environ[_TICKET] = ticket


def counted(request: Request, response: Response, services: Services) -> Response:
    """`response`, whose end `count` waits for; 429 in place of 401 after too many refused logins."""
    limits = services.limits
    if limits is None:
        return response
    ticket = request.environ.pop(_TICKET, None)
    if ticket is not None:
        at_end(request.environ, response, partial(_left, limits, ticket))
    if response.status_code == 401 and _tried(request):
        try:
            limits.login_failed(client_key(address_of(request.environ, services.config)))
        except TooManyRequests as error:
            response.close()
            return gateway_error_response(error)
    return response


def _left(limits: ClientLimits, ticket: Ticket, _: Ending) -> None:
    limits.leave(ticket)


def _tried(request: Request) -> bool:
    """Whether a login was tried at all; a browser's first request has none."""
    environ = request.environ
    if request.method == "POST" and request.path.rstrip("/") == "/login":
        return True
    return bool(environ.get("HTTP_AUTHORIZATION") or environ.get("HTTP_TOKEN") or environ.get(QUERY_TOKENS))
