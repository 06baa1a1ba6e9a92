"""Several logins on one gateway: which of them decides, and what is answered to whom none knows."""

from base64 import b64encode

import pytest

from dicomweb_gateway.access.authentication import Authenticator
from dicomweb_gateway.access.basic import BasicLogin
from dicomweb_gateway.access.caller import ANYBODY
from dicomweb_gateway.access.claims import ClaimRules
from dicomweb_gateway.access.fetching import DocumentFetcher
from dicomweb_gateway.access.jwks import Issuer, KeyKeeper
from dicomweb_gateway.access.oidc import OidcLogin
from dicomweb_gateway.access.presented import Presented
from dicomweb_gateway.access.proxy_login import ProxyLogin
from dicomweb_gateway.access.tokens import StaticTokens, add_token
from dicomweb_gateway.access.users import set_user
from dicomweb_gateway.errors import InsufficientScope, InvalidRequest, Unauthenticated

BASIC = "Basic " + b64encode(b"anna:correct horse").decode()
PROXY = ProxyLogin(("10.0.0.0/8", "::1"))


@pytest.fixture
def static(tmp_path):
    return StaticTokens(tmp_path / "t"), add_token(tmp_path / "t", "ct", (), (), None)


@pytest.fixture
def users(tmp_path):
    set_user(tmp_path / "u", "anna", "correct horse", ())
    return BasicLogin(tmp_path / "u")


@pytest.fixture
def oidc(provider):
    keeper = KeyKeeper(Issuer(provider.issuer, None, DocumentFetcher()).fetch)
    return OidcLogin(ClaimRules(provider.issuer, scopes=frozenset({"read"})), keeper)


def by_proxy(user="anna", peer="10.1.2.3", **more):
    return Presented(peer=peer, client=peer, proxy_user=user, **more)


def test_nobody_is_asked_where_no_login_is_configured():
    assert Authenticator().is_open
    assert Authenticator().caller_of(Presented(authorization="Bearer nonsense")) is ANYBODY


def test_each_is_known_by_their_own_login(provider, oidc, static, users):
    tokens, token = static
    all_of_them = Authenticator(oidc, tokens, users, PROXY)
    assert not all_of_them.is_open
    for presented, mode in [
        (Presented(token_header=token), "token"),
        (Presented(query_tokens=(provider.token(scope="read"),)), "oidc"),
        (Presented(authorization=BASIC), "basic"),
        (by_proxy(), "proxy"),
    ]:
        assert all_of_them.caller_of(presented).mode == mode


def test_a_token_decides_and_must_be_right_whatever_the_proxy_says(provider, oidc, static):
    tokens, token = static
    login = Authenticator(oidc, tokens, None, PROXY)
    assert login.caller_of(by_proxy(token_header=token)).name == "ct"
    with pytest.raises(Unauthenticated):
        login.caller_of(by_proxy(token_header=f"{token}x"))


def test_what_is_no_login_here_is_not_looked_at(static, users):
    tokens, token = static
    assert Authenticator(proxy=PROXY).caller_of(by_proxy(authorization=BASIC)).mode == "proxy"
    for login, presented in [
        (Authenticator(tokens=tokens), Presented(authorization=BASIC)),
        (Authenticator(basic=users), Presented(token_header=token)),
        (Authenticator(tokens=tokens), by_proxy()),
    ]:
        with pytest.raises(Unauthenticated, match="asks for a login"):
            login.caller_of(presented)


def test_a_token_beside_a_password_is_not_guessed_at(static, users):
    tokens, token = static
    login = Authenticator(tokens=tokens, basic=users)
    for presented in [
        Presented(authorization=BASIC, token_header=token),
        Presented(authorization=BASIC, repeated=True),
        Presented(token_header=token, query_tokens=("other",)),
    ]:
        with pytest.raises(InvalidRequest):
            login.caller_of(presented)


def challenges(login, presented, kind=Unauthenticated):
    with pytest.raises(kind) as refused:
        login.caller_of(presented)
    assert isinstance(refused.value, InsufficientScope) is (kind is InsufficientScope)
    return refused.value.challenges


def test_challenges(provider, oidc, static, users):
    tokens, _ = static
    bearer, basic = 'Bearer realm="dicomweb-gateway"', 'Basic realm="dicomweb-gateway", charset="UTF-8"'
    assert challenges(Authenticator(oidc, tokens), Presented()) == (bearer,)
    assert challenges(Authenticator(tokens=tokens, basic=users), Presented()) == (bearer, basic)
    assert challenges(Authenticator(basic=users), Presented(authorization="Basic eDp5")) == (basic,)
    assert challenges(Authenticator(proxy=PROXY), Presented()) == ('Proxied realm="dicomweb-gateway"',)
    (told,) = challenges(Authenticator(oidc), Presented(token_header=provider.token(exp=1)))
    assert told == f'{bearer}, error="invalid_token", error_description="the token has expired"'
    (told,) = challenges(Authenticator(tokens=tokens), Presented(token_header="a\nb"))
    assert told == f'{bearer}, error="invalid_token", error_description="the token is malformed"'
    (told,) = challenges(Authenticator(oidc), Presented(token_header=provider.token()), InsufficientScope)
    assert 'error="insufficient_scope"' in told


@pytest.mark.parametrize(
    ("presented", "name", "groups"),
    [
        (by_proxy(), "anna", set()),
        (by_proxy(peer="::1"), "anna", set()),
        (by_proxy(peer="::ffff:10.0.0.1"), "anna", set()),
        (by_proxy(proxy_groups="a, b,,c "), "anna", {"a", "b", "c"}),
        (by_proxy("J\u00c3\u00b6rg"), "J\u00f6rg", set()),
        (by_proxy("EXAMPLE\\anna"), "EXAMPLE\\anna", set()),
    ],
)
def test_whom_a_trusted_proxy_names(presented, name, groups):
    caller = Authenticator(proxy=PROXY).caller_of(presented)
    assert (caller.name, caller.groups, caller.mode) == (name, groups, "proxy")


@pytest.mark.parametrize(
    "presented",
    [
        by_proxy(peer="11.0.0.1"),
        by_proxy(peer=""),
        by_proxy(peer="evil"),
        by_proxy(""),
        by_proxy("anna, root"),
        by_proxy("anna,root"),
        by_proxy("J\xf6rg"),
        by_proxy("anna\r\nX: y"),
        by_proxy(repeated=True),
        by_proxy(proxy_groups="a, b\x00"),
        Presented(peer="11.0.0.1", client="10.0.0.1", proxy_user="anna"),
    ],
)
def test_whom_nobody_believes(presented):
    with pytest.raises(Unauthenticated):
        Authenticator(proxy=PROXY).caller_of(presented)
