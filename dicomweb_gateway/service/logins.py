"""The logins that the settings ask for: looked at before anything starts, made in each web process."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dicomweb_gateway.access.authentication import Authenticator
from dicomweb_gateway.access.basic import BasicLogin
from dicomweb_gateway.access.fetching import DocumentFetcher, FetchError
from dicomweb_gateway.access.jwks import Issuer, KeyKeeper
from dicomweb_gateway.access.oidc import OidcLogin
from dicomweb_gateway.access.proxy_login import ProxyLogin
from dicomweb_gateway.access.shared_failures import FailureBook
from dicomweb_gateway.access.shared_keys import SharedKeys
from dicomweb_gateway.access.tokens import StaticTokens, read_tokens
from dicomweb_gateway.access.users import User, read_users
from dicomweb_gateway.access.watched_file import warn_of_mode
from dicomweb_gateway.errors import SettingsError
from dicomweb_gateway.service.page_logins import check_admin_password, describe_page_login
from dicomweb_gateway.settings import Settings

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoginsOfAll:
    """What logins of all web processes have in common: failures, and the folder of the provider's keys."""

    failures: FailureBook | None = None
    folder: Path | None = None


ALONE = LoginsOfAll()


def make_authenticator(
    settings: Settings, shared: LoginsOfAll = ALONE, admin: Callable[[], User | None] = lambda: None
) -> Authenticator:
    """What knows who asks, in one web process; after the fork, since it fetches keys in the background.

    `admin` is the user `admin` of the settings, where there is one.
    """
    modes = settings.login_modes
    oidc = _make_oidc(settings, shared.folder) if "oidc" in modes else None
    if oidc is not None:
        oidc.warm_up()
    return Authenticator(
        oidc=oidc,
        tokens=StaticTokens(settings.tokens_path) if "token" in modes else None,
        basic=BasicLogin(settings.users_path, admin, shared.failures) if "basic" in modes else None,
        proxy=ProxyLogin(settings.trusted_proxies) if "proxy" in modes else None,
    )


def check_logins(settings: Settings) -> None:
    """SettingsError where a file of tokens or users cannot be used; warnings where nobody can come in."""
    files: list[tuple[Path, Sequence[Any], str, bool]] = []
    if "token" in settings.login_modes:
        files.append((settings.tokens_path, read_tokens(settings.tokens_path), "tokens new", False))
    check_admin_password(settings)
    if "basic" in settings.login_modes:
        files.append((settings.users_path, read_users(settings.users_path), "users set", True))
    for path, rows, command, secret in files:
        if not rows and not (secret and settings.has_admin):
            _LOG.warning("%s names nobody yet: see `dicomweb-gateway %s`", path, command)
        if path.exists():
            warn_of_mode(path, secret)
    if settings.oidc_ca_bundle is not None and not settings.oidc_ca_bundle.is_file():
        raise SettingsError(f"OIDC_CA_BUNDLE: {settings.oidc_ca_bundle} does not exist")


def log_logins(settings: Settings) -> None:
    """What is in force, with a warning at every start where nobody is asked for a login."""
    if settings.has_login:
        _LOG.info("logins: %s", ", ".join(settings.login_modes))
    elif settings.is_exposed:
        _LOG.error(
            "NO LOGIN is configured and %s is reachable from outside: whoever reaches this gateway sees all "
            "patients; set AUTH_MODE",
            settings.listen_host,
        )
    else:
        _LOG.warning("no login is configured: everybody on this machine sees all patients (AUTH_MODE)")


def describe_logins(settings: Settings) -> str:
    """The logins for `check`, which asks the identity provider; SettingsError where one does not work."""
    check_logins(settings)
    told = list(settings.login_modes)
    if "oidc" in told:
        try:
            keys = _issuer(settings).fetch()
        except FetchError as error:
            raise SettingsError(str(error)) from None
        told[told.index("oidc")] = f"oidc ({len(keys.keys)} keys of {settings.issuer})"
    way = describe_page_login(settings)
    if way is not None:
        told.append(way)
    return ", ".join(told)


def _make_oidc(settings: Settings, folder: Path | None) -> OidcLogin:
    issuer = _issuer(settings)
    shared = None if folder is None else SharedKeys(issuer, folder)
    keeper = KeyKeeper(
        issuer.fetch if shared is None else shared.fetch,
        newer=(lambda _: None) if shared is None else shared.newer,
        ttl=settings.oidc_jwks_ttl,
        outage=settings.oidc_outage_seconds,
        most_waiting=settings.web_threads // 2,
    )
    return OidcLogin(settings.claim_rules, keeper, settings.oidc_algorithms)


def _issuer(settings: Settings) -> Issuer:
    return Issuer(settings.issuer or "", settings.oidc_jwks_url, DocumentFetcher(settings.oidc_ca_bundle))
