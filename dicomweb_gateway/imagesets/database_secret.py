"""The database login in a Secrets Manager secret, read again when the server refuses what is known of it."""

import os
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import orjson
from botocore.exceptions import BotoCoreError, ClientError

from dicomweb_gateway.errors import IndexUnavailable
from dicomweb_gateway.imagesets.secrets_manager import new_session, region_of, secrets_client

READ_AGAIN_AFTER = 5.0
"""Seconds between two readings at least: a login that is simply wrong must not storm Secrets Manager."""


@dataclass(frozen=True, slots=True)
class DatabaseLogin:
    """Host, port and user of the index; the password does not show in `repr`.

    `password` None: the secret holds none, and a token of IAM database authentication stands for it.
    """

    host: str
    port: int
    username: str
    password: str | None = field(repr=False)
    dbname: str
    region: str | None = None

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of PyMySQL's `connect`; a token is signed at each call, on this machine."""
        return {
            "host": self.host,
            "port": self.port,
            "user": self.username,
            "password": self._token() if self.password is None else self.password,
            "database": self.dbname,
        }

    def _token(self) -> str:
        try:
            client = new_session().client("rds", region_name=self.region)
            token: str = client.generate_db_auth_token(self.host, self.port, self.username)
            return token
        except BotoCoreError as error:
            raise IndexUnavailable(f"no IAM token for the database: {type(error).__name__}") from error


class DatabaseSecret:
    """One secret, by its ARN (which names the region too); safe from any thread and over fork.

    The endpoint and the credentials come from the usual chain of the AWS SDK
    (AWS_ENDPOINT_URL_SECRETS_MANAGER among it). Nothing of a secret's value is ever logged.
    """

    def __init__(self, arn: str) -> None:
        self._arn = arn
        self._lock = threading.Lock()
        self._login: DatabaseLogin | None = None
        self._read_at = float("-inf")
        self._client: Any = None
        self._owner = 0

    def login(self) -> DatabaseLogin:
        """The login as last read; IndexUnavailable when the secret cannot be read or lacks something."""
        with self._lock:
            return self._login or self._read()

    def renewed(self, refused: DatabaseLogin) -> DatabaseLogin:
        """The login as it is now, after the server refused `refused`; the same when it did not change."""
        with self._lock:
            fresh_enough = time.monotonic() - self._read_at < READ_AGAIN_AFTER
            if self._login is not None and (self._login != refused or fresh_enough):
                return self._login
            return self._read()

    def _read(self) -> DatabaseLogin:
        self._read_at = time.monotonic()
        try:
            answer = self._api().get_secret_value(SecretId=self._arn)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "unknown")
            raise IndexUnavailable(f"the secret of DB_SECRET_ARN cannot be read: {code}") from error
        except BotoCoreError as error:
            name = type(error).__name__
            raise IndexUnavailable(f"the secret of DB_SECRET_ARN cannot be read: {name}") from error
        self._login = _parse(answer.get("SecretString") or "", region_of(self._arn))
        return self._login

    def _api(self) -> Any:
        if self._client is None or self._owner != os.getpid():
            self._client = secrets_client(self._arn)
            self._owner = os.getpid()
        return self._client


def _parse(secret: str, region: str | None) -> DatabaseLogin:
    """The login in a secret of the form that RDS writes; what is wrong with it is said without its values."""
    try:
        found = orjson.loads(secret)
        host, username = found["host"], found["username"]
        password, dbname = found.get("password"), found["dbname"]
        port = int(found.get("port") or 3306)
    except KeyError as error:
        raise IndexUnavailable(f"the secret of DB_SECRET_ARN has no {error.args[0]}") from None
    except (ValueError, TypeError, AttributeError):
        raise IndexUnavailable("the secret of DB_SECRET_ARN is not of the form that RDS writes") from None
    if not all(isinstance(value, str) and value for value in (host, username, dbname)):
        raise IndexUnavailable("the secret of DB_SECRET_ARN has an empty host, username or dbname")
    return DatabaseLogin(host, port, username, None if password is None else str(password), dbname, region)
