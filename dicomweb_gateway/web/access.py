"""Under which names a gateway without login answers: the Host rule (dicomweb.md H-1)."""

from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from flask import Request

from dicomweb_gateway.errors import InvalidRequest
from dicomweb_gateway.web.services import WebConfig


def check_host(request: Request, config: WebConfig) -> None:
    """Refuse a foreign Host name while no login is asked; InvalidRequest.

    Else any web page could point its own name at this address and read patients through the browser (H-1).
    A page served from an address literal is served by this machine, so literals are let through.
    """
    if not config.host_rule_on or _is_hostless(request):
        return
    name = _name_in(request.host)
    if not (_is_loopback_name(name) or _is_address(name) or name in config.allowed_hosts):
        raise InvalidRequest(
            "this gateway asks for no login, so it answers only to loopback and configured host names "
            "(setting ALLOWED_HOSTS)"
        )


def _is_hostless(request: Request) -> bool:
    """HTTP/1.0 without Host, as load balancers check health; every browser names the host."""
    return "Host" not in request.headers and request.environ.get("SERVER_PROTOCOL") == "HTTP/1.0"


@lru_cache(maxsize=256)
def _name_in(host: str) -> str:
    """The name in a Host header, lower case; ValueError for a torn address literal."""
    return (urlsplit(f"//{host}").hostname or "").lower()


@lru_cache(maxsize=256)
def _is_loopback_name(name: str) -> bool:
    return name == "localhost" or name.endswith(".localhost") or (_is_address(name) and _loops(name))


@lru_cache(maxsize=256)
def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _loops(address: str) -> bool:
    return ip_address(address).is_loopback
