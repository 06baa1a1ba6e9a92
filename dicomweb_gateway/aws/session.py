"""A session of the AWS SDK, and clients of services beside HealthImaging.

The SDK's own ways to credentials hold. An endpoint that is not AWS's gets placeholders where there are none.
"""

from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import boto3.session
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from dicomweb_gateway.errors import SettingsError

REGION_OF_AN_EMULATOR = "us-east-1"
PLACEHOLDER = "emulator"
"""Key and secret for an endpoint that asks for none."""

# the SDK has no types
_new_core: Any = botocore.session.Session
_new_session: Any = boto3.session.Session
_new_config: Any = Config


class _Descriptions:
    """What the SDK knows of services: the same for all sessions, and most of what making a client takes."""

    def __init__(self) -> None:
        self._loaders: dict[str | None, Any] = {}

    def loader_of(self, core: Any) -> Any:
        """The loader of the session's search path, with what it has read already."""
        path = core.get_config_variable("data_path")
        return self._loaders.setdefault(path, core.get_component("data_loader"))


_DESCRIPTIONS = _Descriptions()


def session_for(endpoint_url: str | None) -> tuple[Any, Any]:
    """A session, and its credentials or None; BotoCoreError where AWS's configuration is unusable."""
    core = _new_core()
    core.register_component("data_loader", _DESCRIPTIONS.loader_of(core))
    if is_loopback(endpoint_url):
        # an instance role is of no use to this machine itself, and asking for one takes seconds off AWS
        core.get_component("credential_provider").remove("iam-role")
    session = _new_session(botocore_session=core)
    return session, session.get_credentials()


def service_client(
    service: str, endpoint_url: str | None, region: str | None, connections: int = 10, **more: Any
) -> Any:
    """A client of `service`; `more` goes into its configuration. SettingsError when none can be made.

    A client must not cross a fork: make it in the process that uses it.
    """
    config = _new_config(
        retries={"mode": "standard", "total_max_attempts": 5},
        connect_timeout=5,
        read_timeout=60,
        max_pool_connections=connections,
        **more,
    )
    try:
        session, credentials = session_for(endpoint_url)
        keys = {}
        if credentials is None and endpoint_url:
            keys = {"aws_access_key_id": PLACEHOLDER, "aws_secret_access_key": PLACEHOLDER}
        named = region or session.region_name or (REGION_OF_AN_EMULATOR if endpoint_url else None)
        return session.client(service, region_name=named, endpoint_url=endpoint_url, config=config, **keys)
    except (BotoCoreError, ValueError) as error:
        raise SettingsError(f"no client of {service} can be made: {error}") from error


def is_loopback(endpoint_url: str | None) -> bool:
    """Whether an endpoint is this machine itself."""
    host = urlsplit(endpoint_url or "").hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
