"""Under which names a gateway without login answers: the Host rule (dicomweb.md H-1)."""

from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from flask import Request
from werkzeug.sansio.utils import get_host

from dicomweb_gateway.errors import InvalidRequest
from dicomweb_gateway.web.services import WebConfig


def check_host(request: Request, config: WebConfig) -> None:
    """Refuse a foreign Host name while no login is asked; InvalidRequest.

    Else any web page could point its own name at this address and read patients through the browser (H-1).
    A page served from an address literal is served by this machine, so literals are let through.
    """
    if not config.host_rule_on or _is_hostless(request):
        return
    if not _is_answered(request.scheme, request.environ.get("HTTP_HOST"), config.allowed_hosts):
        raise InvalidRequest(
            "this gateway asks for no login, so it answers only to loopback and configured host names "
            "(setting ALLOWED_HOSTS)"
        )


def _is_hostless(request: Request) -> bool:
    """HTTP/1.0 without Host, as load balancers check health; every browser names the host."""
    environ = request.environ
    return "HTTP_HOST" not in environ and environ.get("SERVER_PROTOCOL") == "HTTP/1.0"


@lru_cache(maxsize=256)
def _is_answered(scheme: str, header: str | None, allowed: tuple[str, ...]) -> bool:
    """Whether the Host header is ours; a name that the server gives itself where there is none is not."""
    name = _name_in(get_host(scheme, header))
    return _is_loopback_name(name) or _is_address(name) or name in allowed


def _name_in(host: str) -> str:
    """The name in a Host header, lower case; ValueError for a torn address literal."""
    return (urlsplit(f"//{host}").hostname or "").lower()


def _is_loopback_name(name: str) -> bool:
    return name == "localhost" or name.endswith(".localhost") or (_is_address(name) and _loops(name))


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _loops(address: str) -> bool:
    return ip_address(address).is_loopback
