"""Logging in and out with a browser: the form, the way to the identity provider and back, the end."""

import secrets
from urllib.parse import urlencode

from flask import Blueprint, Response, request

from dicomweb_gateway.access.audit_events import AuditEvent
from dicomweb_gateway.access.authentication import SESSION_CHALLENGE
from dicomweb_gateway.access.caller import Caller
from dicomweb_gateway.access.own_paths import own_path
from dicomweb_gateway.access.page_login import PageLogin
from dicomweb_gateway.access.session_content import PROOF_HEADER
from dicomweb_gateway.access.sessions import Session
from dicomweb_gateway.errors import CrossSite, GatewayError, ResourceNotFound, Unauthenticated
from dicomweb_gateway.web.audited import note_event, note_tried
from dicomweb_gateway.web.client import CALLER, address_of
from dicomweb_gateway.web.cookies import BROWSER, SESSION, check_cookies, cookie, set_cookie
from dicomweb_gateway.web.cross_site import FIELD, check_own_origin, check_token
from dicomweb_gateway.web.errors import message_of, retry_after_of, status_of
from dicomweb_gateway.web.links import root_url
from dicomweb_gateway.web.login_page import left_main, login_main, problem_main
from dicomweb_gateway.web.page import page_response
from dicomweb_gateway.web.page_view import PageView, view_of
from dicomweb_gateway.web.prefix import prefix_of
from dicomweb_gateway.web.services import Services, services
from dicomweb_gateway.web.static_files import own_files

blueprint = Blueprint("login", __name__)

_CALLBACK = "/login/callback"


@blueprint.get("/login")
def ask_login() -> Response:
    """The ways in; where the identity provider is the only one, the way there."""
    gateway = services()
    wanted = own_path(request.args.get("next", "/"))
    login = gateway.page_login
    if login is not None and login.doors.form is None:
        return _to(f"/login/provider?{urlencode({'next': wanted})}", gateway)
    return _form(gateway, wanted)


@blueprint.post("/login")
def log_in() -> Response:
    """A session for the user whose name and password the form holds."""
    gateway = services()
    login = _offered(gateway)
    if login.doors.form is None:
        raise ResourceNotFound("passwords are no login here")
    # before anything is answered that sets a cookie
    check_own_origin(request, gateway.config)
    wanted, name = own_path(request.form.get("next", "/")), request.form.get("name", "")
    try:
        if not login.is_form_token(cookie(request, gateway.config, BROWSER), request.form.get(FIELD, "")):
            raise CrossSite("this form is of another browser, or too old, or cookies are off: try again")
        caller, proof = login.doors.form.log_in(
            name,
            request.form.get("password", ""),
            address_of(request.environ, gateway.config),
        )
        return _logged_in(gateway, login, caller, proof, "", wanted)
    except GatewayError as error:
        note_tried(request, name)
        return _with_status(_form(gateway, wanted, message_of(error)), error)


@blueprint.get("/login/provider")
def begin_login() -> Response:
    """To the identity provider, which sends the browser back to `finish_login`."""
    gateway = services()
    login = _offered(gateway)
    if login.doors.code is None:
        raise ResourceNotFound("no identity provider is a login here")
    try:
        browser = cookie(request, gateway.config, BROWSER) or secrets.token_urlsafe(24)
        wanted = own_path(request.args.get("next", "/"))
        response = _redirect(login.doors.code.begin(browser, _back(gateway), wanted))
        set_cookie(request, response, gateway.config, BROWSER, browser)
        return response
    except GatewayError as error:
        return _problem(gateway, error)


@blueprint.get(_CALLBACK)
def finish_login() -> Response:
    """A session for whom the identity provider names."""
    gateway = services()
    login = _offered(gateway)
    if login.doors.code is None:
        raise ResourceNotFound("no identity provider is a login here")
    try:
        browser = cookie(request, gateway.config, BROWSER)
        found = login.doors.code.finish(browser, _back(gateway), request.args.to_dict())
        return _logged_in(gateway, login, found.caller, login.doors.code.proof, found.id_token, found.wanted)
    except GatewayError as error:
        return _problem(gateway, error)


@blueprint.post("/logout")
def log_out() -> Response:
    """End the session, or with `everywhere` all of its user; then the way to the provider's logout."""
    gateway = services()
    login = _offered(gateway)
    # also for nobody: another site's page must not have our cookie taken away
    check_own_origin(request, gateway.config)
    session_id = cookie(request, gateway.config, SESSION)
    session = login.sessions.find(session_id)
    provider = None
    if session is None and request.form.get("everywhere"):
        raise Unauthenticated(
            "this login has ended already: nobody is known whose others to end", [SESSION_CHALLENGE]
        )
    told = request.headers.get(PROOF_HEADER) or request.form.get(FIELD, "")
    if session is not None:
        check_token(session, told)
        provider = _end(gateway, login, session_id, session)
    elif login.sessions.is_proof(session_id, told):
        # it was not used for too long, but viewers may still read by its tickets
        login.sessions.end(session_id)
    return _left(gateway, provider)


def _end(gateway: Services, login: PageLogin, session_id: str, session: Session) -> str | None:
    """The address of the logout at the provider that the session came from; None without one."""
    if request.form.get("everywhere"):
        login.sessions.end_all(session)
    else:
        login.sessions.end(session_id)
    request.environ[CALLER] = session.caller
    note_event(request, AuditEvent.USER_AUTHENTICATION, "Logout")
    if login.doors.code is None or session.caller.mode != "oidc":
        return None
    return login.doors.code.logout_address(session.id_token, f"{root_url(request, gateway.config)}/")


def _left(gateway: Services, provider: str | None) -> Response:
    view = _nobodys(gateway)
    response = page_response(view, own_files(), "Logged out", left_main(view, provider))
    if provider is not None:
        # not a redirect: browsers let none follow a form to where the page's policy has none sent
        response.headers["Refresh"] = f"0;url={provider}"
    set_cookie(request, response, gateway.config, SESSION, "")
    # what a back button or another tab could still show of a patient
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


def _logged_in(
    gateway: Services, login: PageLogin, caller: Caller, proof: str, id_token: str, wanted: str
) -> Response:
    """To `wanted`, with a session of a new id; whatever id the browser had before is no longer one."""
    response = _to(wanted, gateway)
    old_id = cookie(request, gateway.config, SESSION)
    check_cookies(request, gateway.config)
    session_id, _ = login.sessions.begin(caller, proof, id_token, old_id)
    set_cookie(request, response, gateway.config, SESSION, session_id)
    request.environ[CALLER] = caller
    note_event(request, AuditEvent.USER_AUTHENTICATION, "Login")
    return response


def _form(gateway: Services, wanted: str, problem: str | None = None) -> Response:
    """The login page, with a value for this browser that its form must fit."""
    view, login = _nobodys(gateway), gateway.page_login
    config = gateway.config
    browser = cookie(request, config, BROWSER) or secrets.token_urlsafe(24)
    token = provider = None
    if login is not None and login.doors.form is not None:
        token = login.form_token(browser)
    if login is not None and login.doors.code is not None:
        provider = f"{view.prefix}/login/provider?{urlencode({'next': wanted})}"
    main = login_main(view, wanted, token, provider, problem)
    response = page_response(view, own_files(), "Log in", main)
    if token is not None:
        try:
            set_cookie(request, response, config, BROWSER, browser)
        except GatewayError as error:
            return _problem(gateway, error)
    return response


def _problem(gateway: Services, error: GatewayError) -> Response:
    view = _nobodys(gateway)
    page = page_response(view, own_files(), "Not logged in", problem_main(view, message_of(error)))
    return _with_status(page, error)


def _with_status(response: Response, error: GatewayError) -> Response:
    response.status_code = status_of(error)
    if isinstance(error, Unauthenticated):
        response.headers["WWW-Authenticate"] = SESSION_CHALLENGE
    retry_after = retry_after_of(error)
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    return response


def _offered(gateway: Services) -> PageLogin:
    if gateway.page_login is None:
        raise ResourceNotFound("this gateway has no login for browsers")
    return gateway.page_login


def _nobodys(gateway: Services) -> PageView:
    """The frame as those see it who are not known: whoever is here is about to be somebody else."""
    return view_of(request, gateway, as_nobody=True)


def _back(gateway: Services) -> str:
    return f"{root_url(request, gateway.config)}{_CALLBACK}"


def _to(path: str, gateway: Services) -> Response:
    """To a path of ours."""
    return _redirect(f"{prefix_of(root_url(request, gateway.config))}{path}")


def _redirect(address: str) -> Response:
    return Response(status=303, headers=[("Location", address), ("Cache-Control", "no-store")])
