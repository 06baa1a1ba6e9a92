"""Who may look into the gateway itself: callers with a rule for it, and those who only count."""

from ipaddress import ip_address

from flask import Request
from werkzeug.exceptions import NotFound

from dicomweb_gateway.access.networks import is_trusted
from dicomweb_gateway.access.operations import Operation
from dicomweb_gateway.sight import NOTHING
from dicomweb_gateway.web.client import address_of, known_caller
from dicomweb_gateway.web.page_view import PageView
from dicomweb_gateway.web.rights import sight_of
from dicomweb_gateway.web.services import Services, WebConfig

METRICS_PATH = "/metrics"
_FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP")


def is_scraper(request: Request, config: WebConfig) -> bool:
    """Whether the request is for the numbers, and from an address that needs no login for them."""
    return (
        bool(config.metrics_from)
        and request.path == METRICS_PATH
        and is_trusted(address_of(request.environ, config), config.metrics_from)
    )


def check_admin(request: Request, config: WebConfig) -> None:
    """NotFound, as for an address that does not exist, unless the caller may administer.

    Where no login is asked only this machine itself may, and no proxy on it that is not listed.
    """
    caller = known_caller(request.environ)
    is_allowed = sight_of(request) != NOTHING
    if is_allowed and (caller is None or caller.mode == "none"):
        is_allowed = _is_of_this_machine(request, config)
    if not is_allowed:
        raise NotFound


def may_edit(request: Request, view: PageView, gateway: Services) -> bool:
    """Whether the page's caller may change attributes of something, so that it offers that."""
    caller = view.caller
    if gateway.editing is None or caller is None or not view.shows(Operation.ADMIN):
        return False
    return caller.mode != "none" or _is_of_this_machine(request, gateway.config)


def _is_of_this_machine(request: Request, config: WebConfig) -> bool:
    peer = request.environ.get("REMOTE_ADDR") or ""
    is_behind_a_stranger = not is_trusted(peer, config.trusted_proxies) and any(
        name in request.environ for name in _FORWARDED
    )
    try:
        return not is_behind_a_stranger and ip_address(address_of(request.environ, config)).is_loopback
    except ValueError:
        return False
