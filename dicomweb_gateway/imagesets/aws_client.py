"""The boto3 client of HealthImaging and where its credentials come from (healthimaging.md 1.5, 1.7)."""

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import boto3.session
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from dicomweb_gateway.errors import SettingsError

ATTEMPTS = 3
"""Tries of one call in all, the first included."""

# the SDK has no types
_new_core: Any = botocore.session.Session
_new_session: Any = boto3.session.Session
_new_config: Any = Config

_REGION_OF_AN_EMULATOR = "us-east-1"
_PLACEHOLDER = "emulator"
_SOURCES = {
    "env": "environment",
    "shared-credentials-file": "shared credentials file",
    "config-file": "config file",
    "iam-role": "instance role",
    "container-role": "container role",
    "assume-role": "assumed role",
    "assume-role-with-web-identity": "web identity",
    "custom-process": "credential process",
    "sso": "single sign-on",
    "login": "console login",
}


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """What a client is made of; timeouts in seconds, `endpoint_url` None for AWS itself."""

    endpoint_url: str | None = None
    region: str | None = None
    max_connections: int = 32
    connect_timeout: float = 5
    read_timeout: float = 20


def make_client(settings: ClientSettings) -> Any:
    """A new medical-imaging client; SettingsError when region, endpoint or AWS configuration are unusable.

    A client must not cross a fork: make it in the process that uses it.
    """
    try:
        session, credentials = _session(settings)
        extra: dict[str, str] = {}
        if credentials is None and settings.endpoint_url:
            extra = {"aws_access_key_id": _PLACEHOLDER, "aws_secret_access_key": _PLACEHOLDER}
        return session.client(
            "medical-imaging",
            region_name=_region(settings),
            endpoint_url=settings.endpoint_url,
            config=_config(settings),
            **extra,
        )
    except (BotoCoreError, ValueError) as error:
        raise SettingsError(f"no HealthImaging client can be made: {error}") from error


def credentials_source(settings: ClientSettings) -> str:
    """Where credentials were found, in words for a log; never a part of the credentials."""
    try:
        _, credentials = _session(settings)
    except BotoCoreError as error:
        return f"none ({type(error).__name__})"
    if credentials is not None:
        method: str = credentials.method
        return _SOURCES.get(method, method)
    return "none (emulator endpoint)" if settings.endpoint_url else "none"


def _config(settings: ClientSettings) -> Any:
    options: dict[str, Any] = {
        "retries": {"mode": "standard", "total_max_attempts": ATTEMPTS},
        "max_pool_connections": settings.max_connections,
        "connect_timeout": settings.connect_timeout,
        "read_timeout": settings.read_timeout,
        "tcp_keepalive": True,
        "user_agent_extra": "dicomweb-gateway",
    }
    if settings.endpoint_url:
        # botocore would ask "runtime-127.0.0.1" otherwise
        options["inject_host_prefix"] = False
    return _new_config(**options)


def _region(settings: ClientSettings) -> str | None:
    return settings.region or (_REGION_OF_AN_EMULATOR if settings.endpoint_url else None)


def _session(settings: ClientSettings) -> tuple[Any, Any]:
    core = _new_core()
    if _is_loopback(settings.endpoint_url):
        # an instance role is of no use to this machine itself, and asking for one takes seconds off AWS
        core.get_component("credential_provider").remove("iam-role")
    session = _new_session(botocore_session=core)
    return session, session.get_credentials()


def _is_loopback(endpoint_url: str | None) -> bool:
    host = urlsplit(endpoint_url or "").hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
