"""Who asks, as a request tells it: read for `access`, which knows no Flask, and kept from all that follows.

A token in the query is taken out of it before anything else looks: it is no search key, and stands in no
link, warning, entity tag, cache key or log.
"""

from functools import lru_cache
from typing import Any
from urllib.parse import unquote_plus

from flask import Request, Response

from dicomweb_gateway.access.caller import ANYBODY, Caller
from dicomweb_gateway.access.presented import Presented
from dicomweb_gateway.errors import GatewayError, TooManyRequests, WrongCredentials
from dicomweb_gateway.web.audited import note
from dicomweb_gateway.web.caching import NO_CACHE
from dicomweb_gateway.web.client import CALLER, QUERY_TOKENS, address_of
from dicomweb_gateway.web.cookies import SESSION as SESSION_COOKIE
from dicomweb_gateway.web.cookies import cookie
from dicomweb_gateway.web.headers import add_vary
from dicomweb_gateway.web.identity_keys import REPEATED, SESSION
from dicomweb_gateway.web.services import Services, WebConfig
from dicomweb_gateway.web.tickets import TICKET, takes_tickets

_OF_PAGES = "dicomweb-gateway"
"""X-Requested-With of the scripts of our pages (`static/gateway.js`)."""


def without_query_tokens(inner: Any) -> Any:
    """The WSGI application `inner`, from whose queries tokens are taken out."""

    def outer(environ: dict[str, Any], start_response: Any) -> Any:
        query = environ.get("QUERY_STRING", "")
        if "=" in query and ("token" in query or "%" in query):
            _take_tokens(environ)
        return inner(environ, start_response)

    return outer


def _take_tokens(environ: dict[str, Any]) -> None:
    tokens, rest = [], []
    for pair in environ["QUERY_STRING"].split("&"):
        name, separator, value = pair.partition("=")
        if separator and unquote_plus(name) == "token":
            # a plus sign is one of the characters of tokens, and stands for itself where it is not escaped
            tokens.append(unquote_plus(value.replace("+", "%2B"), errors="replace"))
        else:
            rest.append(pair)
    if not tokens:
        return
    environ[QUERY_TOKENS] = tuple(tokens)
    environ["QUERY_STRING"] = query = "&".join(rest)
    for name in ("REQUEST_URI", "RAW_URI"):
        if name in environ:
            path = environ[name].partition("?")[0]
            environ[name] = f"{path}?{query}" if query else path


def identify(request: Request, services: Services) -> Caller:
    """Who asks, noted in the request's environment too; raises what `Authenticator.caller_of` does."""
    login = services.authenticator
    caller = ANYBODY
    if not login.is_open:
        caller, session, ticket = login.known(
            presented_by(request, services.config, takes_sessions=services.page_login is not None)
        )
        if session is not None:
            request.environ[SESSION] = session
        if ticket is not None:
            request.environ[TICKET] = ticket
            note(request, ticket=ticket.mark)
    request.environ[CALLER] = caller
    return caller


def known_or_nobody(request: Request, services: Services) -> Caller | None:
    """Who asks on an address that is open to all, None where no login holds.

    GatewayBusy, LoginUnavailable and the like make nobody of them too: such an address answers all the same.
    Raises WrongCredentials and TooManyRequests: nobody finds out here, uncounted, what opens the other doors.
    """
    known: Caller | None = request.environ.get(CALLER)
    if known is not None:
        return known
    try:
        return identify(request, services)
    except (WrongCredentials, TooManyRequests):
        raise
    except GatewayError:
        return None


def presented_by(request: Request, config: WebConfig, takes_sessions: bool = False) -> Presented:
    """What `request` says of who sends it; of sessions where they are taken."""
    environ = request.environ
    names = _names_of(config.proxy_headers)
    user, groups = (environ.get(name, "") for name in names or ("", ""))
    repeated = environ.get(REPEATED, ())
    return Presented(
        peer=request.remote_addr or "",
        client=address_of(environ, config),
        authorization=environ.get("HTTP_AUTHORIZATION", ""),
        token_header=environ.get("HTTP_TOKEN", ""),
        query_tokens=environ.get(QUERY_TOKENS, ()) if config.query_token else (),
        proxy_user=user,
        proxy_groups=groups,
        repeated=any(name in repeated for name in ("HTTP_AUTHORIZATION", "HTTP_TOKEN", *names)),
        session=cookie(request, config, SESSION_COOKIE) if takes_sessions else "",
        by_script=_is_of_our_pages(environ, takes_sessions),
        takes_tickets=takes_tickets(request),
    )


def _is_of_our_pages(environ: dict[str, Any], takes_sessions: bool) -> bool:
    """Whether a script of ours asks, or what another page of this gateway has in it, such as OHIF's requests.

    Those lead to the login by themselves where people log in at pages: no browser must ask for a password.
    """
    if environ.get("HTTP_X_REQUESTED_WITH") == _OF_PAGES:
        return True
    is_inside = environ.get("HTTP_SEC_FETCH_MODE") in ("cors", "no-cors", "same-origin")
    return takes_sessions and is_inside and environ.get("HTTP_SEC_FETCH_SITE") == "same-origin"


@lru_cache(maxsize=8)
def _names_of(headers: tuple[str, ...]) -> tuple[str, ...]:
    """As the WSGI environment names these headers."""
    return tuple(f"HTTP_{name.upper().replace('-', '_')}" for name in headers)


def keep_private(request: Request, response: Response, services: Services) -> None:
    """What only a login shows is kept for nobody else, and the address with a token is told to nobody.

    Answers vary with all that says who asks, so that a cache that many share never gives one's to another;
    the browser that asked may keep its own. What a session shows is private whatever CDN_CACHING says: who
    lets a cache hold what tokens show has not thought of people's browsers, whose cookie few caches heed.
    """
    if services.authenticator.is_open:
        return
    kept = response.headers.get("Cache-Control", "")
    if SESSION in request.environ and kept.startswith("public"):
        kept = f"private{kept.removeprefix('public')}"
        response.headers["Cache-Control"] = kept
    if services.config.cdn_caching != "shared" or not kept.startswith("public"):
        cookies = () if services.page_login is None else ("Cookie",)
        add_vary(response, "Authorization", "token", *cookies, *services.config.proxy_headers)
    if QUERY_TOKENS in request.environ:
        response.headers["Referrer-Policy"] = "no-referrer"
        if "private" not in kept and "no-store" not in kept:
            response.headers["Cache-Control"] = NO_CACHE
