"""Tokens of an identity provider: what is let in, and everything that is not."""

import json
import threading
import time
from base64 import urlsafe_b64encode

import jwt
import pytest
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from dicomweb_gateway.access.claims import ClaimRules
from dicomweb_gateway.access.fetching import DocumentFetcher
from dicomweb_gateway.access.jwks import Issuer, KeyKeeper
from dicomweb_gateway.access.oidc import OidcLogin
from dicomweb_gateway.errors import InsufficientScope, LoginUnavailable, Unauthenticated
from tests.access.provider import jwk, private_key


def login_to(provider, clock=time.time, interval=30.0, patience=5.0, algorithms=None, ttl=3600.0, **rules):
    keeper = KeyKeeper(
        Issuer(provider.issuer, None, DocumentFetcher()).fetch, interval=interval, patience=patience, ttl=ttl
    )
    given = ClaimRules(**{"issuer": provider.issuer, "audiences": frozenset({"gateway"}), **rules})
    more = {} if algorithms is None else {"algorithms": algorithms}
    return OidcLogin(given, keeper, clock=clock, **more)


def coded(value):
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def test_who_bears_a_good_token(provider):
    token = provider.token(
        azp="ohif", scope="openid images/read", groups=["a", "b"], realm_access={"roles": ["c"]}, typ="Bearer"
    )
    caller = login_to(provider).caller_of(token)
    assert (caller.name, caller.mode, caller.client) == ("alice", "oidc", "ohif")
    assert caller.groups == {"a", "b", "c"}
    assert caller.scopes == {"openid", "images/read"}


@pytest.mark.parametrize(
    "algorithm", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]
)
def test_every_algorithm_of_the_list(provider, algorithm):
    provider.keys = [jwk("one", algorithm)]
    login = login_to(provider)
    token = provider.token("one", algorithm)
    assert login.caller_of(token).name == "alice"
    with pytest.raises(Unauthenticated, match="signature is wrong"):
        login.caller_of(provider.token("one", algorithm, key=private_key("two", algorithm)))
    with pytest.raises(Unauthenticated, match="algorithm"):
        login_to(provider, algorithms=("RS256",) if algorithm != "RS256" else ("PS256",)).caller_of(token)


FAR = 10**6
REFUSED = {
    "expired": ({"exp": time.time() - FAR}, "expired"),
    "without expiry": ({"exp": None}, "does not expire"),
    "expiry is text": ({"exp": "2999999999"}, "no time"),
    "expiry is true": ({"exp": True}, "no time"),
    "not yet": ({"nbf": time.time() + FAR}, "not hold yet"),
    "issued in the future": ({"iat": time.time() + FAR}, "not hold yet"),
    "other issuer": ({"iss": "https://evil.example.org"}, "another issuer"),
    "issuer in a list": ({"iss": ["x"]}, "another issuer"),
    "no issuer": ({"iss": None}, "another issuer"),
    "other audience": ({"aud": "other"}, "another audience"),
    "other audiences": ({"aud": ["x", "y"]}, "another audience"),
    "part of the audience": ({"aud": "gate"}, "another audience"),
    "no audience": ({"aud": None}, "another audience"),
    "id token of Cognito": ({"token_use": "id"}, "not for access"),
    "use is no text": ({"token_use": ["access"]}, "not for access"),
    "id token of Keycloak": ({"typ": "ID"}, "not for access"),
    "nobody": ({"sub": None}, "names nobody"),
    "a name over lines": ({"sub": "alice\r\nX: y"}, "names nobody"),
    "a name without end": ({"sub": "a" * 300}, "names nobody"),
    "a name that is a number": ({"sub": ["alice"]}, "names nobody"),
    "groups without end": ({"groups": [str(number) for number in range(2000)]}, "too many groups"),
}


@pytest.mark.parametrize("claims", REFUSED)
def test_claims_that_are_refused(provider, claims):
    given, words = REFUSED[claims]
    if "sub" in given and given["sub"] is not None:
        # the library that makes the tests' tokens refuses to write some of them
        payload = json.dumps(provider.claims(**given)).encode()
        token = jwt.PyJWS().encode(payload, private_key("one"), "RS256", {"kid": "one", "typ": "JWT"})
    elif isinstance(given.get("iss"), list):
        payload = json.dumps(provider.claims(**given)).encode()
        token = jwt.PyJWS().encode(payload, private_key("one"), "RS256", {"kid": "one"})
    else:
        token = provider.token(**given)
    with pytest.raises(Unauthenticated, match=words):
        login_to(provider).caller_of(token)


@pytest.mark.parametrize(
    ("rules", "claims", "allowed"),
    [
        ({"clients": frozenset({"app"})}, {"client_id": "app", "aud": None}, True),
        ({"clients": frozenset({"app"})}, {"azp": "app"}, True),
        ({"clients": frozenset({"app"})}, {"cid": "app"}, True),
        ({"clients": frozenset({"app"})}, {"appid": "app"}, True),
        ({"clients": frozenset({"app"})}, {"client_id": "other", "azp": "app"}, False),
        ({"clients": frozenset({"app"})}, {"aud": "app"}, False),
        ({"clients": frozenset({"app"}), "uses": frozenset({"id"})}, {"aud": "app", "token_use": "id"}, True),
        ({"clients": frozenset({"app"}), "uses": frozenset({"id"})}, {"token_use": "access"}, False),
        ({"clients": frozenset({"app"})}, {"azp": "app", "aud": "app", "at_hash": "x"}, False),
        ({"clients": frozenset({"app"})}, {"azp": "app", "c_hash": None, "s_hash": "x"}, False),
        ({"clients": frozenset({"app"}), "uses": frozenset({"id"})}, {"aud": "app", "at_hash": "x"}, True),
        ({}, {"aud": None, "client_id": "any"}, True),
        ({"audiences": frozenset({"a", "b"})}, {"aud": ["x", "b"]}, True),
    ],
)
def test_audience_client_and_use(provider, rules, claims, allowed):
    login = login_to(provider, **{"audiences": frozenset(), **rules})
    if allowed:
        assert login.caller_of(provider.token(**claims)).name == "alice"
    else:
        with pytest.raises(Unauthenticated):
            login.caller_of(provider.token(**claims))


def test_scopes_are_asked_for(provider):
    login = login_to(provider, scopes=frozenset({"images/read"}))
    assert login.caller_of(provider.token(scope="openid images/read"))
    assert login.caller_of(provider.token(scp=["images/read"]))
    with pytest.raises(InsufficientScope, match="images/read"):
        login.caller_of(provider.token(scope="openid images/readers"))


def test_names_and_groups_by_other_claims(provider):
    rules = {"names": ("username", "sub"), "groups": ("https://x/groups", "a.b")}
    login = login_to(provider, **rules)
    caller = login.caller_of(
        provider.token(
            **{"username": "bob", "https://x/groups": "one", "a": {"b": ["two", 3]}, "groups": ["no"]}
        )
    )
    assert (caller.name, caller.groups) == ("bob", {"one", "two"})


def hs256_with_the_public_key(provider):
    """The old trick: what everybody knows as the secret of an algorithm that both share."""
    pem = private_key("one").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signed = f"{coded({'alg': 'HS256', 'kid': 'one', 'typ': 'JWT'})}.{coded(provider.claims())}"
    mac = hmac.HMAC(pem, hashes.SHA256())
    mac.update(signed.encode())
    return f"{signed}.{coded(mac.finalize())}"


def changed(token, part, value):
    parts = token.split(".")
    parts[part] = value(parts[part])
    return ".".join(parts)


FORGED = {
    "none": lambda p: f"{coded({'alg': 'none'})}.{coded(p.claims())}.",
    "None, signed": lambda p: (
        f"{coded({'alg': 'None', 'kid': 'one'})}.{coded(p.claims())}.{coded(b'x' * 32)}"
    ),
    "no algorithm": lambda p: f"{coded({'kid': 'one'})}.{coded(p.claims())}.{coded(b'x')}",
    "algorithm in a list": lambda p: f"{coded({'alg': ['RS256']})}.{coded(p.claims())}.{coded(b'x')}",
    "hs256": hs256_with_the_public_key,
    "another's key": lambda p: p.token(key=private_key("two")),
    "ES token for an RSA key": lambda p: p.token(algorithm="ES256"),
    "unknown key": lambda p: p.token("two"),
    "claims of another": lambda p: changed(p.token(), 1, lambda _: coded(p.claims(sub="root"))),
    "header of another": lambda p: changed(p.token(), 0, lambda _: coded({"alg": "PS256", "kid": "one"})),
    "no signature": lambda p: changed(p.token(), 2, lambda _: ""),
    "half a signature": lambda p: changed(p.token(), 2, lambda text: text[:100]),
    "header is no base64": lambda p: changed(p.token(), 0, lambda _: "!!!"),
    "header of one letter": lambda p: changed(p.token(), 0, lambda _: "a"),
    "header is no JSON": lambda p: changed(p.token(), 0, lambda _: coded(b"\xff{")),
    "header is a list": lambda p: changed(p.token(), 0, lambda _: coded([1])),
    "claims are no base64": lambda p: changed(p.token(), 1, lambda _: "a b"),
    "signature is no base64": lambda p: changed(p.token(), 2, lambda text: f"{text}="),
    "two parts": lambda p: p.token().rpartition(".")[0],
    "four parts": lambda p: f"{p.token()}.x",
    "nothing": lambda _: "..",
    "encrypted": lambda _: "a.b.c.d.e",
    "line end": lambda p: f"{p.token()}\n",
    "critical": lambda p: p.token(headers={"crit": ["exp"], "exp": 1}),
    "type": lambda p: p.token(headers={"typ": "logout+jwt"}),
    "id is a number": lambda p: (
        f"{coded({'alg': 'RS256', 'kid': 1})}.{coded(p.claims())}.{coded(b'x' * 256)}"
    ),
    "id without end": lambda p: p.token(headers={"kid": "k" * 600}),
}


@pytest.mark.parametrize("kind", FORGED)
def test_forged_and_malformed_tokens(provider, kind):
    login = login_to(provider)
    assert login.caller_of(provider.token())
    with pytest.raises(Unauthenticated):
        login.caller_of(FORGED[kind](provider))


def test_claims_that_are_signed_but_no_object(provider):
    login = login_to(provider)
    for payload in (b"[1]", b"nonsense", b'"text"', b"\xff", b'{"exp": NaN}', b"[" * 5000):
        token = jwt.PyJWS().encode(payload, private_key("one"), "RS256", {"kid": "one"})
        with pytest.raises(Unauthenticated):
            login.caller_of(token)


def test_where_a_header_says_that_keys_are_nobody_looks(provider):
    asked = dict(provider.asked)
    url = f"{provider.issuer}/elsewhere"
    token = provider.token("evil", headers={"jku": url, "x5u": url, "jwk": jwk("evil")})
    login = login_to(provider)
    with pytest.raises(Unauthenticated, match="no key"):
        login.caller_of(token)
    # once at first, once because of the unknown key, and never elsewhere
    assert provider.asked == {"discovery": asked["discovery"] + 2, "jwks": asked["jwks"] + 2}


def test_a_token_without_key_id_needs_the_only_key(provider):
    assert login_to(provider).caller_of(provider.token(named=False))
    provider.keys = [jwk("one"), jwk("e", "ES256")]
    assert login_to(provider).caller_of(provider.token(named=False))
    provider.keys = [jwk("one"), jwk("two")]
    with pytest.raises(Unauthenticated, match="no key"):
        login_to(provider).caller_of(provider.token(named=False))


def test_a_key_is_only_for_its_own_algorithm(provider):
    provider.keys = [jwk("one", alg="PS256")]
    login = login_to(provider)
    assert login.caller_of(provider.token(algorithm="PS256"))
    with pytest.raises(Unauthenticated, match="no key"):
        login.caller_of(provider.token(algorithm="RS256"))


def test_a_verified_token_is_kept_but_not_beyond_its_expiry(provider):
    now = [time.time()]
    login = login_to(provider, clock=lambda: now[0], leeway=0.0)
    token = provider.token(exp=int(now[0]) + 60)
    assert login.caller_of(token) is login.caller_of(token)
    now[0] += 61
    with pytest.raises(Unauthenticated, match="expired"):
        login.caller_of(token)


def test_a_kept_token_ends_with_its_key(provider):
    login = login_to(provider, interval=0.0)
    token = provider.token()
    assert login.caller_of(token)
    provider.keys = [jwk("two")]
    # somebody comes with the new key, and the old one is gone
    assert login.caller_of(provider.token("two"))
    with pytest.raises(Unauthenticated, match="no key"):
        login.caller_of(token)


def test_keys_rotate_under_load_without_a_refusal(provider):
    login = login_to(provider)
    old, failures, done = provider.token(), [], threading.Event()
    assert login.caller_of(old)
    tokens = [old]

    def work():
        while not done.is_set():
            for token in list(tokens):
                try:
                    login.caller_of(token)
                except Exception as error:
                    failures.append(error)

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    provider.keys = [jwk("one"), jwk("two")]
    tokens += [provider.token("two", sub=f"user {number}") for number in range(20)]
    deadline = time.monotonic() + 10
    while len(login._kept) < 21 and time.monotonic() < deadline and not failures:
        time.sleep(0.01)
    done.set()
    for worker in workers:
        worker.join()
    assert failures == []
    assert len(login._kept) == 21
    assert provider.asked["jwks"] == 2


def test_no_key_was_ever_known(provider):
    provider.fail = 500
    with pytest.raises(LoginUnavailable):
        login_to(provider).caller_of(provider.token())
