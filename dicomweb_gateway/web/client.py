"""Who asks: the caller that the login found, and the address that the request comes from."""

from typing import Any

from flask import Request

from dicomweb_gateway.access.addresses import client_address, client_key
from dicomweb_gateway.access.caller import ANYBODY, Caller
from dicomweb_gateway.web.services import WebConfig

CALLER = "dicomweb_gateway.caller"
"""Key of the WSGI environment: the Caller, once the request's login has been looked at."""
QUERY_TOKENS = "dicomweb_gateway.query_tokens"
"""Key of the WSGI environment: the tokens that stood in the query."""


def address_of(environ: dict[str, Any], config: WebConfig) -> str:
    """The address of the client: what trusted proxies say of it, else that of the peer."""
    peer = environ.get("REMOTE_ADDR") or ""
    if not config.trusted_proxies:
        return peer
    return client_address(
        peer,
        environ.get("HTTP_X_FORWARDED_FOR"),
        environ.get("HTTP_FORWARDED"),
        environ.get("HTTP_X_REAL_IP"),
        config.trusted_proxies,
    )


def known_caller(environ: dict[str, Any]) -> Caller | None:
    """Who asks, None where no login was looked at."""
    found: Caller | None = environ.get(CALLER)
    return found


def counted_as(request: Request, config: WebConfig) -> str:
    """The name by which the client is counted: the caller and the application, else the address."""
    caller = known_caller(request.environ)
    if caller is None or caller is ANYBODY or caller.mode == "none":
        return f"address {client_key(address_of(request.environ, config))}"
    return f"caller {caller.mode} {caller.name} {caller.client}"
