"""Secrets Manager: the client, and a password that a secret holds."""

import logging
from typing import Any

import boto3.session
import orjson
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from dicomweb_gateway.errors import SettingsError

# the SDK has no types
new_session: Any = boto3.session.Session
_new_config: Any = Config


def secrets_client(arn: str) -> Any:
    """A client for the region that `arn` names; it is not to be used over a fork."""
    # at its debug level the SDK logs whole answers
    logging.getLogger("botocore.parsers").setLevel(logging.INFO)
    config = _new_config(
        connect_timeout=3, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 2}
    )
    return new_session().client("secretsmanager", region_name=region_of(arn), config=config)


def region_of(arn: str) -> str | None:
    """The region that a Secrets Manager ARN names, None when it is no such ARN."""
    parts = arn.split(":")
    fits = len(parts) >= 7 and parts[0] == "arn" and parts[2] == "secretsmanager" and parts[3]
    return parts[3] if fits else None


def password_of_secret(arn: str) -> str:
    """The password in the secret: its text, or `password` of a JSON object; SettingsError."""
    try:
        text = str(secrets_client(arn).get_secret_value(SecretId=arn).get("SecretString") or "")
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "unknown")
        raise SettingsError(f"the secret {arn} cannot be read: {code}") from error
    except BotoCoreError as error:
        raise SettingsError(f"the secret {arn} cannot be read: {type(error).__name__}") from error
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    if not isinstance(found, dict):
        return text
    if not isinstance(found.get("password"), str):
        raise SettingsError(f"the secret {arn} has no password")
    return str(found["password"])
