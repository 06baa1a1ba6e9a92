"""The database secret, read from moto's Secrets Manager over HTTP, and logins with it on a real MariaDB."""

import logging
from collections.abc import Iterator
from typing import Any

import boto3
import orjson
import pytest
from moto.server import ThreadedMotoServer
from sqlalchemy import make_url, text

from dicomweb_gateway.errors import IndexUnavailable, SettingsError
from dicomweb_gateway.imagesets import database_secret
from dicomweb_gateway.imagesets.database_secret import DatabaseLogin, DatabaseSecret
from dicomweb_gateway.imagesets.secrets_manager import password_of_secret, region_of
from dicomweb_gateway.index.engine import identity_of, make_engine, reading
from tests.databases import drop_database, new_database, on_server

LOGIN = {"host": "127.0.0.1", "port": 3306, "username": "u", "password": "p4ss", "dbname": "ahiindex"}
MISSING = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:none-AbCdEf"


@pytest.fixture(scope="module")
def secrets_manager() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, secrets_manager: str) -> Any:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", secrets_manager)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    return boto3.client("secretsmanager", region_name="eu-west-1")


def put(client: Any, value: object) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    name = f"index-{len(client.list_secrets()['SecretList'])}"
    arn: str = client.create_secret(Name=name, SecretString=text)["ARN"]
    return arn


def test_a_secret_is_read_once(client):
    arn = put(client, {**LOGIN, "engine": "mysql", "port": "3307"})
    secret = DatabaseSecret(arn)
    login = secret.login()
    assert login == DatabaseLogin("127.0.0.1", 3307, "u", "p4ss", "ahiindex", "eu-west-1")
    client.put_secret_value(SecretId=arn, SecretString=orjson.dumps({**LOGIN, "password": "new"}).decode())
    assert secret.login() is login


def test_it_is_read_again_after_a_refusal_but_not_all_the_time(client, monkeypatch):
    arn = put(client, LOGIN)
    secret = DatabaseSecret(arn)
    old = secret.login()
    client.put_secret_value(SecretId=arn, SecretString=orjson.dumps({**LOGIN, "password": "new"}).decode())
    assert secret.renewed(old) == old
    monkeypatch.setattr(database_secret, "READ_AGAIN_AFTER", 0)
    new = secret.renewed(old)
    assert new.password == "new"
    monkeypatch.setattr(database_secret, "READ_AGAIN_AFTER", 1000)
    assert secret.renewed(old) is new
    assert secret.login() is new


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("p4ss", "not of the form"),
        ("[]", "not of the form"),
        ({**LOGIN, "port": "mysql"}, "not of the form"),
        ({**LOGIN, "host": ""}, "empty host"),
        ({key: LOGIN[key] for key in LOGIN if key != "dbname"}, "no dbname"),
    ],
)
def test_unusable_secrets(client, value, words):
    with pytest.raises(IndexUnavailable, match=words) as caught:
        DatabaseSecret(put(client, value)).login()
    assert "p4ss" not in str(caught.value)


def test_a_secret_that_is_not_there(client):
    with pytest.raises(IndexUnavailable, match="ResourceNotFoundException"):
        DatabaseSecret(MISSING).login()


def test_secrets_manager_is_not_there(monkeypatch, client):
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://127.0.0.1:1")
    with pytest.raises(IndexUnavailable, match="EndpointConnectionError"):
        DatabaseSecret(MISSING).login()


def test_without_a_password_a_token_is_signed(client):
    login = DatabaseSecret(put(client, {**LOGIN, "password": None})).login()
    token = login.arguments()["password"]
    assert token.startswith("127.0.0.1:3306/?Action=connect&DBUser=u&")
    assert "X-Amz-Signature=" in token


def test_the_secret_is_not_logged(client, caplog):
    secret = DatabaseSecret(put(client, LOGIN))
    with caplog.at_level(logging.DEBUG):
        assert secret.login().password == "p4ss"
    assert "GetSecretValue" in caplog.text
    assert "p4ss" not in caplog.text


def test_the_password_does_not_show():
    assert "p4ss" not in repr(DatabaseLogin("h", 1, "u", "p4ss", "d"))


@pytest.mark.parametrize(
    ("arn", "region"),
    [(MISSING, "eu-west-1"), ("arn:aws:s3:::bucket", None), ("index", None), ("", None)],
)
def test_the_region_of_an_arn(arn, region):
    assert region_of(arn) == region


def test_a_rotation_is_followed_without_a_restart(client, mariadb_server, monkeypatch):
    monkeypatch.setattr(database_secret, "READ_AGAIN_AFTER", 0)
    server, (name, _) = make_url(mariadb_server), new_database(mariadb_server)
    on_server(mariadb_server, "CREATE USER rotated@'%' IDENTIFIED BY 'first-pass'")
    on_server(mariadb_server, f"GRANT SELECT ON {name}.* TO rotated@'%'")
    value = {
        **{"host": server.host, "port": server.port, "dbname": name},
        **{"username": "rotated", "password": "first-pass"},
    }
    arn = put(client, value)
    engine = make_engine(f"mysql+pymysql://?secret_arn={arn}", statement_timeout=5)
    who = text("SELECT concat(substring_index(user(), '@', 1), ' ', database())")
    try:
        with reading(engine) as held:
            assert held.execute(who).scalar() == f"rotated {name}"
            on_server(mariadb_server, "ALTER USER rotated@'%' IDENTIFIED BY 'second-pass'")
            with pytest.raises(IndexUnavailable), reading(engine):
                pass
            client.put_secret_value(
                SecretId=arn, SecretString=orjson.dumps({**value, "password": "second-pass"}).decode()
            )
            with reading(engine) as fresh:
                assert fresh.execute(who).scalar() == f"rotated {name}"
        assert "pass" not in identity_of(engine)
    finally:
        engine.dispose()
        on_server(mariadb_server, "DROP USER rotated@'%'")
        drop_database(mariadb_server, name)


@pytest.mark.parametrize(
    "value", ["battery staple", {"username": "admin", "password": "battery staple"}, "[1]"]
)
def test_the_password_in_a_secret(client, value):
    arn = put(client, value)
    assert password_of_secret(arn) == (value if isinstance(value, str) else "battery staple")


def test_a_secret_without_a_password_is_told_of_without_its_value(client):
    for arn, reason in ((put(client, {"other": "hidden"}), "no password"), (MISSING, "cannot be read")):
        with pytest.raises(SettingsError, match=reason) as refused:
            password_of_secret(arn)
        assert "hidden" not in str(refused.value)
