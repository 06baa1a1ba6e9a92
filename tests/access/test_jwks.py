"""The keeper of keys: how often it asks, and what it does while nobody answers."""

import json
import threading
import time

import pytest
from jwt.algorithms import RSAAlgorithm

from dicomweb_gateway.access.fetching import DocumentFetcher, FetchError
from dicomweb_gateway.access.jwks import Issuer, KeyKeeper
from dicomweb_gateway.access.keys import KeySet, parse_key_set
from dicomweb_gateway.errors import LoginUnavailable
from tests.access.provider import jwk, private_key


def issuer_of(provider, jwks_url=None):
    return Issuer(provider.issuer, jwks_url, DocumentFetcher())


class Source:
    """A fetch that counts, and fails or hangs when it is told to."""

    def __init__(self, *kids):
        self.kids = kids
        self.count = 0
        self.fails = False
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self):
        self.count += 1
        assert self.gate.wait(10)
        if self.fails:
            raise FetchError("down")
        return parse_key_set({"keys": [jwk(kid) for kid in self.kids]})


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_unknown_keys_cause_one_fetch_in_an_interval_however_many_ask():
    source, clock = Source("one"), Clock()
    keeper = KeyKeeper(source, interval=30, clock=clock)
    assert keeper.key("one", "RS256") is not None
    threads = [
        threading.Thread(target=lambda n=n: [keeper.key(f"{n}-{m}", "RS256") for m in range(50)])
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert source.count == 2
    clock.now += 29
    assert keeper.key("other", "RS256") is None
    assert source.count == 2
    clock.now += 2
    assert keeper.key("other", "RS256") is None
    assert source.count == 3


def test_all_who_ask_for_a_new_key_wait_for_the_one_fetch():
    source = Source("one")
    keeper = KeyKeeper(source)
    assert keeper.key("one", "RS256") is not None
    source.kids = ("one", "two")
    source.gate.clear()
    found = []
    threads = [threading.Thread(target=lambda: found.append(keeper.key("two", "RS256"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    until(lambda: source.count == 2)
    # known keys are not touched by it
    assert keeper.key("one", "RS256") is not None
    source.gate.set()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert None not in found
    assert source.count == 2


def test_a_key_made_while_a_fetch_is_under_way_is_found_by_the_next():
    source, clock = Source("one"), Clock()
    keeper = KeyKeeper(source, ttl=100, interval=30, clock=clock)
    assert keeper.key("one", "RS256") is not None
    fetched = threading.Event()

    def late():
        source.count += 1
        if source.count == 2:
            keys = parse_key_set({"keys": [jwk("one")]})
            fetched.set()
            assert source.gate.wait(10)
            return keys
        return parse_key_set({"keys": [jwk("two")]})

    keeper._fetch = late
    source.gate.clear()
    clock.now += 101
    assert keeper.key("one", "RS256") is not None
    assert fetched.wait(10)
    threading.Timer(0.05, source.gate.set).start()
    assert keeper.key("two", "RS256") is not None


def test_old_keys_are_fetched_anew_beside_the_requests():
    source, clock = Source("one"), Clock()
    keeper = KeyKeeper(source, ttl=100, clock=clock)
    keeper.key("one", "RS256")
    clock.now += 101
    source.gate.clear()
    assert keeper.key("one", "RS256") is not None
    until(lambda: source.count == 2)
    assert keeper.key("one", "RS256") is not None
    source.kids = ("two",)
    source.gate.set()
    until(lambda: keeper.key("two", "RS256") is not None)
    assert source.count == 2
    assert keeper.key("one", "RS256") is None


def test_known_keys_hold_while_the_provider_is_down_but_not_for_ever():
    source, clock = Source("one"), Clock()
    keeper = KeyKeeper(source, ttl=100, outage=1000, interval=30, clock=clock)
    keeper.key("one", "RS256")
    source.fails = True
    for _ in range(9):
        clock.now += 100
        assert keeper.key("one", "RS256") is not None
        assert keeper.key("two", "RS256") is None
        until(lambda: keeper._running is None)
    clock.now += 200
    with pytest.raises(LoginUnavailable):
        keeper.key("one", "RS256")
    source.fails = False
    clock.now += 6
    assert keeper.key("one", "RS256") is not None


def test_nobody_waits_long_for_a_provider_that_is_slow():
    source = Source("one")
    source.gate.clear()
    keeper = KeyKeeper(source, patience=0.05)
    with pytest.raises(LoginUnavailable):
        keeper.key("one", "RS256")
    source.gate.set()
    until(lambda: keeper._keys is not None)
    assert keeper.key("one", "RS256") is not None
    assert source.count == 1


def test_only_so_many_wait():
    source = Source("one")
    source.gate.clear()
    keeper = KeyKeeper(source, most_waiting=1)
    waiting = threading.Thread(target=lambda: keeper.key("one", "RS256"))
    waiting.start()
    until(lambda: source.count == 1)
    time.sleep(0.05)
    with pytest.raises(LoginUnavailable, match="too many"):
        keeper.key("one", "RS256")
    source.gate.set()
    waiting.join()


def test_warming_up_waits_for_nothing():
    source = Source("one")
    source.gate.clear()
    keeper = KeyKeeper(source)
    keeper.warm_up()
    source.gate.set()
    assert keeper.key("one", "RS256") is not None
    assert source.count == 1


def test_a_fault_of_ours_is_no_end_of_the_keeper(caplog):
    keeper = KeyKeeper(lambda: 1 / 0)
    with pytest.raises(LoginUnavailable):
        keeper.key("one", "RS256")
    assert "ZeroDivisionError" in caplog.text


def test_discovery(provider):
    assert [key.kid for key in issuer_of(provider).fetch().keys] == ["one"]
    assert provider.asked == {"discovery": 1, "jwks": 1}
    assert issuer_of(provider, f"{provider.issuer}/keys").fetch().keys
    assert provider.asked == {"discovery": 1, "jwks": 2}


MISBEHAVING = {
    "down": {"fail": 503},
    "redirects to another": {"redirect": "https://evil.example.org/keys"},
    "redirects on this machine": {"redirect": "http://127.0.0.1:1/keys"},
    "another issuer": {"issuer_told": "https://evil.example.org"},
    "issuer with a slash more": {"issuer_told": "SLASH"},
    "keys over plain http": {"jwks_told": "http://evil.example.org/keys"},
    "keys in a file": {"jwks_told": "file:///etc/passwd"},
    "keys nowhere": {"jwks_told": ["x"]},
    "keys with a password": {"jwks_told": "https://user:secret@evil.example.org/"},
    "huge": {"document": b'{"keys": [' + b" " * (1 << 20) + b"]}"},
    "no JSON": {"document": b"<html>"},
    "deep": {"document": b"[" * 100_000},
    "a list": {"document": b"[]"},
    "empty": {"keys": []},
    "too many": {"keys": [{"kty": "RSA"}] * 101},
    "not UTF-8": {"document": b'{"keys": ["\xff"]}'},
}


@pytest.mark.parametrize("kind", MISBEHAVING)
def test_a_provider_that_misbehaves(provider, kind):
    for name, value in MISBEHAVING[kind].items():
        setattr(provider, name, f"{provider.issuer}/" if value == "SLASH" else value)
    with pytest.raises(FetchError) as refused:
        issuer_of(provider).fetch()
    assert "secret" not in str(refused.value)


def test_an_issuer_elsewhere_has_no_keys_on_this_machine(provider):
    class Elsewhere(DocumentFetcher):
        def get(self, url):
            assert url == "https://idp.example.org/.well-known/openid-configuration"
            return {"issuer": "https://idp.example.org", "jwks_uri": f"{provider.issuer}/keys"}

    with pytest.raises(FetchError, match="no safe address"):
        Issuer("https://idp.example.org", None, Elsewhere()).fetch()
    assert provider.asked["jwks"] == 0


def test_fetches_that_never_end_are_given_up_and_few():
    source, clock = Source("one"), Clock()
    keeper = KeyKeeper(source, patience=0.0, clock=clock)
    source.gate.clear()
    for _ in range(9):
        with pytest.raises(LoginUnavailable):
            keeper.key("one", "RS256")
        clock.now += 31
    assert source.count == 4
    source.gate.set()
    until(lambda: keeper._keys is not None)


def test_a_provider_that_is_not_there(provider):
    provider.close()
    with pytest.raises(FetchError, match="does not answer"):
        issuer_of(provider).fetch()


def test_a_provider_that_answers_without_end(provider, monkeypatch):
    monkeypatch.setattr("dicomweb_gateway.access.fetching._SECONDS", 0.1)
    provider.delay = 0.5
    with pytest.raises(FetchError):
        issuer_of(provider).fetch()


def secret_jwk():
    return {**RSAAlgorithm.to_jwk(private_key("one"), as_dict=True), "kid": "secret"}


PASSED_OVER = {
    "symmetric": {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0", "kid": "x"},
    "private": "private",
    "for encryption": jwk("x", use="enc"),
    "for other operations": jwk("x", key_ops=["encrypt"]),
    "another algorithm": jwk("x", alg="RSA-OAEP"),
    "HMAC with an RSA key": jwk("x", alg="HS256"),
    "algorithm is no text": jwk("x", alg=["RS256"]),
    "short": jwk("x", bits=1024),
    "id is no text": {**jwk("x"), "kid": 7},
    "no object": "text",
    "no kind": {"kid": "x"},
    "unknown curve": {"kty": "EC", "crv": "P-512", "x": "AA", "y": "AA"},
    "a point that is on no curve": {**jwk("x", "ES256"), "y": "AAAA"},
    "torn": {"kty": "RSA", "n": "!", "e": "AQAB"},
    "Edwards": {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
}


@pytest.mark.parametrize("kind", PASSED_OVER)
def test_keys_that_are_passed_over(kind, caplog):
    row = secret_jwk() if PASSED_OVER[kind] == "private" else PASSED_OVER[kind]
    found = parse_key_set(json.loads(json.dumps({"keys": [row, jwk("good")]})))
    assert [key.kid for key in found.keys] == ["good"]
    assert "c2VjcmV0" not in caplog.text


def test_two_keys_of_one_name():
    keys = parse_key_set({"keys": [jwk("one"), {**jwk("e", "ES256"), "kid": "one"}]})
    assert keys.fitting("one", "RS256") is not keys.fitting("one", "ES256")
    assert isinstance(keys, KeySet)
    same = parse_key_set({"keys": [jwk("one"), {**jwk("two"), "kid": "one"}]})
    assert same.fitting("one", "RS256") is None
