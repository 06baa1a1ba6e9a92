"""Logins by a browser, as the settings ask for them, made in each web process."""

import hmac
from collections.abc import Callable
from dataclasses import replace

from dicomweb_gateway.access.admin import admin_of_file, admin_user, password_in
from dicomweb_gateway.access.authentication import Authenticator
from dicomweb_gateway.access.basic import BasicLogin
from dicomweb_gateway.access.code_login import CodeClient, CodeLogin
from dicomweb_gateway.access.discovery import EndpointKeeper
from dicomweb_gateway.access.fetching import DocumentFetcher
from dicomweb_gateway.access.page_login import PageDoors, PageLogin
from dicomweb_gateway.access.sessions import SessionLimits, Sessions, SessionStore, Tier
from dicomweb_gateway.access.tickets import TicketLimits, Tickets, TicketStore
from dicomweb_gateway.access.users import User
from dicomweb_gateway.errors import LoginUnavailable, SettingsError
from dicomweb_gateway.imagesets.secrets_manager import password_of_secret
from dicomweb_gateway.settings import Settings

_SALT_BYTES = 16


def make_admin(settings: Settings, secret: bytes) -> Callable[[], User | None]:
    """The user `admin` as the settings give the password now; SettingsError.

    `secret` is that of the service, so that all its processes hash the password alike.
    """
    salt = hmac.digest(secret, b"admin", "sha256")[:_SALT_BYTES]
    if settings.admin_password_file is not None:
        return admin_of_file(settings.admin_password_file, salt)
    password = _given_password(settings)
    made = None if password is None else admin_user(password, salt)
    return lambda: made


def _given_password(settings: Settings) -> str | None:
    if settings.admin_password is not None:
        return settings.admin_password.get_secret_value()
    if settings.admin_password_secret_arn is not None:
        return password_of_secret(settings.admin_password_secret_arn)
    return None


def check_admin_password(settings: Settings) -> None:
    """SettingsError where the file or the secret holds no password."""
    if settings.admin_password_file is not None:
        password_in(settings.admin_password_file)
    elif settings.has_admin:
        make_admin(settings, b"")


def describe_page_login(settings: Settings) -> str | None:
    """How browsers log in, for `check`, which asks the provider; None where they do not. SettingsError."""
    ways = ["form"] if settings.has_admin or "basic" in settings.login_modes else []
    if "oidc" in settings.login_modes and settings.issuer and settings.login_client:
        try:
            EndpointKeeper(settings.issuer, DocumentFetcher(settings.oidc_ca_bundle)).endpoints()
        except LoginUnavailable as error:
            raise SettingsError(str(error)) from None
        ways.append(f"provider as client {settings.login_client}")
    return f"browsers: {', '.join(ways)}" if ways else None


def with_page_login(
    authenticator: Authenticator,
    form: BasicLogin | None,
    settings: Settings,
    store: SessionStore,
    tier: Tier | None,
    secret: bytes,
    tickets: TicketStore,
) -> tuple[Authenticator, PageLogin | None]:
    """`authenticator`, which takes sessions too, and the logins of pages; None where browsers have none.

    `form` knows who logs in by the form where passwords are no login otherwise. `secret` is that of the
    service; nothing can be found out of it by what is made here.
    """
    doors = PageDoors(authenticator.basic or form, _code_login(authenticator, settings, secret))
    if doors.form is None and doors.code is None:
        return authenticator, None
    limits = SessionLimits(settings.session_idle_seconds, settings.session_seconds)
    given = _tickets(doors, settings, tickets, secret)
    ended = (lambda: None) if given is None else given.forget
    sessions = Sessions(store, doors.still, _derived(secret, "sessions"), limits, tier, ended=ended)
    login = PageLogin(doors, sessions, _derived(secret, "forms"), given)
    return replace(authenticator, sessions=sessions, tickets=given), login


def _tickets(doors: PageDoors, settings: Settings, store: TicketStore, secret: bytes) -> Tickets | None:
    if not settings.viewer_ticket_seconds:
        return None
    limits = TicketLimits(settings.viewer_ticket_idle_seconds, settings.viewer_ticket_seconds)
    return Tickets(store, doors.still, _derived(secret, "tickets"), limits)


def _code_login(authenticator: Authenticator, settings: Settings, secret: bytes) -> CodeLogin | None:
    if authenticator.oidc is None or settings.issuer is None or settings.login_client is None:
        return None
    fetcher = DocumentFetcher(settings.oidc_ca_bundle)
    given = settings.oidc_login_client_secret
    client = CodeClient(
        settings.issuer,
        settings.login_client,
        given.get_secret_value() if given is not None else None,
        settings.login_scopes,
        settings.oidc_scopes,
    )
    keeper = EndpointKeeper(settings.issuer, fetcher)
    return CodeLogin(
        client, settings.claim_rules, authenticator.oidc, keeper, fetcher, _derived(secret, "codes")
    )


def _derived(secret: bytes, purpose: str) -> bytes:
    return hmac.digest(secret, purpose.encode(), "sha256")
