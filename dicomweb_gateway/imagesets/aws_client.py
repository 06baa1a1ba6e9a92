"""The boto3 client of HealthImaging and where its credentials come from (healthimaging.md 1.5, 1.7)."""

import os
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from botocore import UNSIGNED
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError
from botocore.httpsession import ProxyConfiguration, get_cert_path
from botocore.utils import get_environ_proxies

from dicomweb_gateway.aws.session import PLACEHOLDER, REGION_OF_AN_EMULATOR, session_for
from dicomweb_gateway.errors import SettingsError
from dicomweb_gateway.telemetry.timeline import request_id

ATTEMPTS = 3
"""Tries of one call in all, the first included."""

# the SDK has no types
_new_config: Any = Config
_new_credentials: Any = Credentials
_new_proxies: Any = ProxyConfiguration
_environ_proxies: Any = get_environ_proxies
_cert_path: Any = get_cert_path

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
        return _client(session, credentials, settings, _config(settings))
    except (BotoCoreError, ValueError) as error:
        raise SettingsError(f"no HealthImaging client can be made: {error}") from error


@dataclass(frozen=True, slots=True)
class Endpoint:
    """All that a call needs which does not go through the SDK.

    `url` is the root of the image-set calls, `runtime-` prefix included where AWS has it. `credentials` has
    `get_frozen_credentials()`; None when there are none. `ca_bundle` is a file or a folder, `proxy` a URL or
    empty.
    """

    url: str
    region: str
    service: str
    user_agent: str
    proxy: str
    ca_bundle: str
    credentials: Any


def resolve(settings: ClientSettings) -> Endpoint:
    """What the SDK makes of settings, environment and AWS's configuration files; SettingsError as above."""
    try:
        session, credentials = _session(settings)
        # without a signature, so that no credentials are needed and none are renewed
        client = _client(
            session, None, settings, _config(settings).merge(_new_config(signature_version=UNSIGNED))
        )
    except (BotoCoreError, ValueError) as error:
        raise SettingsError(f"no HealthImaging client can be made: {error}") from error
    try:
        request = _request_of(client)
        url = urlsplit(request.url)
        root = urlunsplit((url.scheme, url.netloc, url.path.partition("/datastore/")[0], "", ""))
        return Endpoint(
            url=root,
            region=client.meta.region_name,
            service=client.meta.service_model.signing_name,
            user_agent=_text(request.headers["User-Agent"]),
            proxy=_new_proxies(_environ_proxies(client.meta.endpoint_url)).proxy_url_for(root) or "",
            ca_bundle=_ca_bundle(session),
            credentials=credentials or _placeholder(settings),
        )
    finally:
        client.close()


def credentials_of(settings: ClientSettings) -> Any:
    """Credentials looked for anew, as at a start: with `get_frozen_credentials()`; None for none."""
    return _session(settings)[1] or _placeholder(settings)


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


def caller_arn(settings: ClientSettings) -> str:
    """Whose the credentials are, as STS says; botocore's errors."""
    session, _ = _session(settings)
    quick = _new_config(
        connect_timeout=3, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 1}
    )
    arn: str = session.client("sts", region_name=_region(settings), config=quick).get_caller_identity()["Arn"]
    return arn


class _NotSent(Exception):
    """Carries the request that the SDK was about to send."""

    def __init__(self, request: Any) -> None:
        self.request = request
        super().__init__()


def _request_of(client: Any) -> Any:
    """A GetImageFrame as the SDK would send it."""

    def keep(request: Any, **_: Any) -> None:
        raise _NotSent(request)

    client.meta.events.register("before-send.medical-imaging.GetImageFrame", keep)
    names = {"datastoreId": "0" * 32, "imageSetId": "0" * 32}
    try:
        client.get_image_frame(**names, imageFrameInformation={"imageFrameId": "0" * 32})
    except _NotSent as caught:
        return caught.request
    raise SettingsError("the AWS SDK sends GetImageFrame in a way that is not known here")


def _client(session: Any, credentials: Any, settings: ClientSettings, config: Any) -> Any:
    extra: dict[str, str] = {}
    if credentials is None and settings.endpoint_url:
        extra = {"aws_access_key_id": PLACEHOLDER, "aws_secret_access_key": PLACEHOLDER}
    client = session.client(
        "medical-imaging",
        region_name=_region(settings),
        endpoint_url=settings.endpoint_url,
        config=config,
        **extra,
    )
    client.meta.events.register("before-send.medical-imaging", _name_request)
    return client


def _name_request(request: Any, **_: Any) -> None:
    """Pass the request id on, after the signature, of which it is no part."""
    name = request_id()
    if name is not None:
        request.headers["X-Request-Id"] = name


def _placeholder(settings: ClientSettings) -> Any:
    return _new_credentials(PLACEHOLDER, PLACEHOLDER) if settings.endpoint_url else None


def _ca_bundle(session: Any) -> str:
    """The SDK's order: AWS_CA_BUNDLE or `ca_bundle`, REQUESTS_CA_BUNDLE, the bundle it brings along."""
    configured = session._session.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE")
    return str(configured or _cert_path(True))


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


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
    return settings.region or (REGION_OF_AN_EMULATOR if settings.endpoint_url else None)


def _session(settings: ClientSettings) -> tuple[Any, Any]:
    return session_for(settings.endpoint_url)
