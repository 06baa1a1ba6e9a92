"""Settings to logins: what is looked at before the start, and what the start says."""

import logging

import pytest

from dicomweb_gateway.access.presented import Presented
from dicomweb_gateway.access.tokens import add_token
from dicomweb_gateway.errors import SettingsError
from dicomweb_gateway.service.logins import check_logins, describe_logins, log_logins, make_authenticator
from dicomweb_gateway.settings import Settings
from tests.access.provider import Provider
from tests.e2e.login_page import served_login


@pytest.fixture
def settings(tmp_path):
    return lambda **more: Settings(data_dir=tmp_path, **more)


@pytest.fixture
def provider():
    made = Provider()
    yield made
    made.close()


def test_each_mode_makes_its_login(settings, provider):
    made = make_authenticator(
        settings(
            auth_mode="oidc,token,basic,proxy",
            oidc_issuer=provider.issuer,
            oidc_client_ids="ohif",
            trusted_proxies="10.0.0.1",
        )
    )
    assert None not in (made.oidc, made.tokens, made.basic, made.proxy)
    caller = made.caller_of(Presented(token_header=provider.token(azp="ohif")))
    assert (caller.name, caller.client) == ("alice", "ohif")
    assert make_authenticator(settings(auth_mode="none")).is_open
    only = make_authenticator(settings(auth_mode="token"))
    assert (only.oidc, only.basic, only.proxy) == (None, None, None)


def test_a_cognito_token_with_the_samples_names(settings, provider):
    made = make_authenticator(
        settings(
            auth_mode="cognito_jwt",
            cognito_user_pool_id="eu-west-1_AbC",
            cognito_client_id="app",
            oidc_jwks_url=f"{provider.issuer}/keys",
        )
    )
    issuer = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbC"
    own = {"iss": issuer, "aud": None, "client_id": "app", "username": "anna", "token_use": "access"}
    caller = made.caller_of(Presented(query_tokens=(provider.token(**own, **{"cognito:groups": ["g"]}),)))
    assert (caller.name, caller.client, caller.groups) == ("anna", "app", {"g"})


def test_files_are_looked_at_before_the_start(settings, tmp_path, caplog):
    check_logins(settings(auth_mode="token,basic"))
    assert caplog.text.count("names nobody yet") == 2
    add_token(tmp_path / "tokens.toml", "ct", (), (), None)
    caplog.clear()
    check_logins(settings(auth_mode="token"))
    assert caplog.text == ""
    (tmp_path / "tokens.toml").write_text("[[tokens]]\nname = 3")
    with pytest.raises(SettingsError, match=r"tokens.toml, \[\[tokens\]\] 1"):
        check_logins(settings(auth_mode="token"))
    check_logins(settings(auth_mode="basic"))
    with pytest.raises(SettingsError, match="OIDC_CA_BUNDLE"):
        check_logins(settings(oidc_ca_bundle=tmp_path / "none.pem"))


@pytest.mark.parametrize(
    ("given", "level", "words"),
    [
        ({}, "WARNING", "no login is configured"),
        ({"host": "0.0.0.0"}, "ERROR", "reachable from outside"),
        ({"auth_mode": "token,basic"}, "INFO", "token, basic"),
    ],
)
def test_what_is_said_at_every_start(settings, caplog, given, level, words):
    with caplog.at_level(logging.INFO, "dicomweb_gateway"):
        log_logins(settings(**given))
    (record,) = caplog.records
    assert record.levelname == level
    assert words in record.getMessage()


def test_what_check_says_of_browsers(settings):
    assert describe_logins(settings(auth_mode="basic")) == "basic, browsers: form"
    assert describe_logins(settings(auth_mode="token")) == "token"
    with served_login() as page:
        given = {"oidc_issuer": page.issuer, "oidc_client_ids": "app", "admin_password": "battery staple"}
        assert describe_logins(settings(**given)).endswith(", browsers: form, provider as client app")
        told = {**page.discovery(), "token_endpoint": None}
        page.discovery = lambda: told
        with pytest.raises(SettingsError, match="no safe address to log in at"):
            describe_logins(settings(**given))


def test_what_check_says(settings, provider):
    given = {"oidc_issuer": provider.issuer, "oidc_audience": "a"}
    assert describe_logins(settings(**given)) == f"oidc (1 keys of {provider.issuer})"
    provider.fail = 500
    with pytest.raises(SettingsError, match="answers 500"):
        describe_logins(settings(**given))
