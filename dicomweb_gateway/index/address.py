"""A database URL as settings give it: our own parameters apart from those of the driver."""

import ssl
from typing import Any, NamedTuple

from sqlalchemy import URL
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from dicomweb_gateway.errors import SettingsError

SECRET_ARN = "secret_arn"  # noqa: S105 - the parameter's name
"""URL parameter: the Secrets Manager secret that holds host, port, username, password and dbname."""

TLS = "tls"
"""URL parameter: `preferred` (where the server offers it), `required`, or `verify` (certificate and name)."""

TLS_CA = "tls_ca"
"""URL parameter: a PEM file of authorities for `verify`; without it those of the system."""

_MYSQL = "mysql+pymysql"
_DRIVERS = {"mysql": _MYSQL, "mariadb": _MYSQL, _MYSQL: _MYSQL, "mariadb+pymysql": _MYSQL}


class DatabaseAddress(NamedTuple):
    """Where the index lies; `url` has the driver's own parameters only."""

    url: URL
    secret_arn: str | None
    tls: str
    tls_ca: str | None

    @property
    def is_sqlite(self) -> bool:
        """Whether this is a SQLite file and no server."""
        return self.url.get_backend_name() == "sqlite"


def parse_address(url: str) -> DatabaseAddress:
    """The address in `url`; SettingsError, without the URL's password, when it is none that we can use."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise SettingsError("DATABASE_URL is not a database URL") from None
    own = {name: _only(parsed, name) for name in (SECRET_ARN, TLS, TLS_CA)}
    parsed = parsed.difference_update_query(list(own))
    if parsed.get_backend_name() != "sqlite":
        driver = _DRIVERS.get(parsed.drivername)
        if driver is None:
            raise SettingsError(f"DATABASE_URL: no support for {parsed.drivername}; SQLite, MySQL or MariaDB")
        parsed = parsed.set(drivername=driver, query={"charset": "utf8mb4", **parsed.query})
    return DatabaseAddress(parsed, own[SECRET_ARN], own[TLS] or "preferred", own[TLS_CA])


def tls_arguments(address: DatabaseAddress) -> dict[str, Any]:
    """Connect arguments for the wanted TLS; SettingsError when the file of authorities cannot be read.

    Nothing for `preferred`, which is what the driver does by itself.
    """
    if address.tls == "preferred":
        return {}
    try:
        context = ssl.create_default_context(cafile=address.tls_ca)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"DB_TLS_CA: {address.tls_ca} cannot be used: {error}") from None
    # authorities of database servers are often older than what strict checking asks of them
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if address.tls == "required":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif address.tls != "verify":
        raise SettingsError(f"DB_TLS: {address.tls} is not one of preferred, required, verify")
    return {"ssl": context}


def _only(url: URL, name: str) -> str | None:
    value = url.query.get(name)
    return value if isinstance(value, str) or value is None else value[-1]
