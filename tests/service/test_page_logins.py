"""Settings to logins with a browser."""

import pytest

from dicomweb_gateway.access.basic import BasicLogin
from dicomweb_gateway.errors import SettingsError
from dicomweb_gateway.service.logins import check_logins, make_authenticator
from dicomweb_gateway.service.page_logins import make_admin, with_page_login
from dicomweb_gateway.settings import Settings, load_settings

WORDS = "battery staple"
ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:x-AbCdEf"


class NoStore:
    def find(self, digest):
        return None


@pytest.fixture
def made(tmp_path):
    def make(**more):
        settings = Settings(data_dir=tmp_path, **more)
        admin = make_admin(settings, b"secret")
        form = BasicLogin(None, admin) if settings.has_admin else None
        authenticator = make_authenticator(settings, admin=admin)
        return with_page_login(authenticator, form, settings, NoStore(), None, b"secret", NoStore())

    return make


def test_what_is_a_login_is_one_for_browsers_too(made):
    issuer = {"oidc_issuer": "http://127.0.0.1:9/realm", "oidc_client_ids": "app"}
    for more, form, code in [
        ({"auth_mode": "basic"}, True, False),
        (issuer, False, True),
        ({**issuer, "auth_mode": "oidc,basic"}, True, True),
        ({**issuer, "admin_password": WORDS}, True, True),
        ({"admin_password": WORDS}, True, False),
    ]:
        authenticator, login = made(**more)
        assert (login.doors.form is not None, login.doors.code is not None) == (form, code)
        assert authenticator.sessions is login.sessions
        assert not authenticator.is_open
    for more in ({"auth_mode": "token"}, {**issuer, "oidc_client_ids": "*"}):
        authenticator, login = made(**more)
        assert login is None
        assert authenticator.sessions is None


def test_the_form_of_a_gateway_with_tokens_alone_knows_the_admin_alone(made):
    authenticator, login = made(auth_mode="token", admin_password=WORDS)
    assert authenticator.basic is None
    assert login.doors.form.log_in("admin", WORDS, "10.0.0.1")[0].mode == "admin"


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"admin_password": "short"}, "8 to 1024"),
        ({"admin_password": WORDS, "admin_password_file": "x"}, "exclude each other"),
        ({"admin_password": WORDS, "auth_mode": "none"}, "means nothing"),
        ({"admin_password_secret_arn": "arn:aws:s3:::x"}, "ARN"),
        ({"oidc_login_scopes": "profile"}, "openid"),
        ({"session_seconds": 1}, "greater than or equal"),
    ],
)
def test_settings_that_cannot_be(more, reason):
    with pytest.raises(SettingsError, match=reason) as refused:
        load_settings(more)
    assert WORDS not in str(refused.value)


def test_a_password_turns_the_login_on(tmp_path):
    assert Settings(admin_password=WORDS).login_modes == ("basic",)
    assert Settings(admin_password=WORDS, auth_mode="token").login_modes == ("token",)
    assert WORDS not in repr(Settings(admin_password=WORDS))
    with pytest.raises(SettingsError, match="cannot be read"):
        check_logins(Settings(data_dir=tmp_path, admin_password_file=tmp_path / "missing"))


def test_the_scopes_that_are_asked_for():
    settings = Settings(
        oidc_issuer="https://a.example.org", oidc_client_ids="*,app", oidc_scopes="imaging", auth_mode="oidc"
    )
    assert settings.login_scopes == ("openid", "profile", "email", "imaging")
    assert settings.login_client == "app"
