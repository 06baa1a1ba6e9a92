"""Passwords: what is kept, what is throttled, and that nothing tells who is a user."""

import threading
from base64 import b64encode
from collections import Counter

import pytest

from dicomweb_gateway.access import basic
from dicomweb_gateway.access.basic import BasicLogin
from dicomweb_gateway.access.passwords import Cost, PasswordHash, hash_password
from dicomweb_gateway.access.rows import text_of
from dicomweb_gateway.errors import GatewayBusy, TooManyRequests, Unauthenticated

CHEAP = Cost(n=2, r=1, p=1)


def coded(text, encoding="utf-8"):
    return b64encode(text.encode(encoding)).decode()


def write(path, **passwords):
    rows = [
        {"name": name, "password": str(hash_password(password, CHEAP)), "groups": ("readers",)}
        for name, password in passwords.items()
    ]
    path.write_text(text_of("users", rows))


@pytest.fixture
def hashed(monkeypatch):
    """How often a password was hashed, by its scrypt cost."""
    count = Counter()
    fits = PasswordHash.fits

    def counted(self, password):
        count[self.cost] += 1
        return fits(self, password)

    monkeypatch.setattr(PasswordHash, "fits", counted)
    return count


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setattr("dicomweb_gateway.access.watched_file._LOOK_SECONDS", 0.0)
    file = tmp_path / "users.toml"
    write(file, anna="correct horse", jörg="pässword")
    return file


def test_right_passwords(path, hashed):
    login = BasicLogin(path)
    caller = login.caller_of(coded("anna:correct horse"), "10.0.0.1")
    assert (caller.name, caller.mode, caller.groups) == ("anna", "basic", {"readers"})
    for _ in range(9):
        assert login.caller_of(coded("anna:correct horse"), "10.0.0.2") is caller
    assert hashed.total() == 1
    assert login.caller_of(coded("jörg:pässword"), "").name == "jörg"
    assert login.caller_of(coded("jörg:pässword", "latin-1"), "").name == "jörg"


@pytest.mark.parametrize(
    "credentials",
    [
        coded("anna:wrong"),
        coded("anna:"),
        coded("anna"),
        coded("Anna:correct horse"),
        coded("anna :correct horse"),
        coded(":correct horse"),
        coded(""),
        "",
        "!!!",
        "YTpi=",
        "é",
        coded("anna:correct\nhorse"),
        coded("anna:" + "x" * 2000),
        coded("x" * 256 + ":password"),
        "A" * 100_000,
    ],
)
def test_wrong_ones(path, credentials):
    with pytest.raises(Unauthenticated):
        BasicLogin(path).caller_of(credentials, "10.0.0.1")


def test_a_user_unknown_costs_as_much_and_says_the_same(path, hashed):
    login = BasicLogin(path)
    said = set()
    for name in ("anna", "nobody"):
        with pytest.raises(Unauthenticated) as refused:
            login.caller_of(coded(f"{name}:wrong one"), "10.0.0.1")
        said.add(str(refused.value))
    assert len(said) == 1
    assert hashed == {CHEAP: 2}


def test_a_changed_password_counts_at_once(path):
    login = BasicLogin(path)
    assert login.caller_of(coded("anna:correct horse"), "")
    write(path, anna="another one", ben="long enough")
    with pytest.raises(Unauthenticated):
        login.caller_of(coded("anna:correct horse"), "")
    assert login.caller_of(coded("anna:another one"), "")
    write(path, ben="long enough")
    with pytest.raises(Unauthenticated):
        login.caller_of(coded("anna:another one"), "")


def test_who_fails_again_and_again_must_wait(path, hashed):
    login = BasicLogin(path)
    assert login.caller_of(coded("anna:correct horse"), "10.0.0.1")
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            login.caller_of(coded("anna:wrong one"), "10.0.0.1")
    count = hashed.total()
    with pytest.raises(TooManyRequests) as refused:
        login.caller_of(coded("anna:another wrong one"), "10.0.0.1")
    assert 0 < refused.value.retry_after <= 1
    assert hashed.total() == count
    # neither who is in already, nor anybody elsewhere, pays for it
    assert login.caller_of(coded("anna:correct horse"), "10.0.0.1")
    with pytest.raises(Unauthenticated):
        login.caller_of(coded("anna:wrong one"), "10.0.0.2")


def test_guesses_that_come_at_once_are_no_way_around(path, monkeypatch):
    """Those that waited for their turn while others failed are not judged."""
    login = BasicLogin(path)
    for _ in range(4):
        with pytest.raises(Unauthenticated):
            login.caller_of(coded("anna:wrong one"), "10.0.0.1")
    gate, begun = threading.Event(), threading.Semaphore(0)
    fits = PasswordHash.fits

    def slow(self, password):
        begun.release()
        assert gate.wait(10)
        return fits(self, password)

    monkeypatch.setattr(PasswordHash, "fits", slow)
    results = []

    def guess(number):
        with pytest.raises((Unauthenticated, TooManyRequests)) as refused:
            login.caller_of(coded(f"anna:guess {number}"), "10.0.0.1")
        results.append(refused.type)

    threads = [threading.Thread(target=guess, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    assert begun.acquire(timeout=10)
    while login._inside._value:
        pass
    gate.set()
    for thread in threads:
        thread.join()
    assert results.count(Unauthenticated) <= 2
    assert len(results) == 8


def test_an_address_that_tries_user_after_user_must_wait(path):
    login = BasicLogin(path)
    for number in range(50):
        with pytest.raises(Unauthenticated):
            login.caller_of(coded(f"user{number}:wrong"), "10.0.0.1")
    with pytest.raises(TooManyRequests):
        login.caller_of(coded("new:wrong"), "10.0.0.1")


def test_addresses_of_one_ipv6_client_are_one(path):
    login = BasicLogin(path)
    for number in range(50):
        with pytest.raises(Unauthenticated):
            login.caller_of(coded(f"user{number}:wrong"), f"2001:db8::{number:x}")
    with pytest.raises(TooManyRequests):
        login.caller_of(coded("new:wrong"), "2001:db8::ffff")
    with pytest.raises(Unauthenticated):
        login.caller_of(coded("new:wrong"), "2001:db8:0:1::1")


def test_only_so_many_hashes_at_once_and_one_for_the_same_password(path, monkeypatch):
    login = BasicLogin(path)
    gate, begun = threading.Event(), threading.Semaphore(0)
    fits = PasswordHash.fits
    inside, most = [0], [0]
    lock = threading.Lock()

    def slow(self, password):
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        begun.release()
        assert gate.wait(10)
        with lock:
            inside[0] -= 1
        return fits(self, password)

    monkeypatch.setattr(PasswordHash, "fits", slow)
    results = []

    def ask(credentials):
        try:
            results.append(login.caller_of(coded(credentials), "10.0.0.1").name)
        except Exception as error:
            results.append(type(error))

    same = [threading.Thread(target=ask, args=("anna:correct horse",)) for _ in range(20)]
    others = [threading.Thread(target=ask, args=(f"u{n}:wrong",)) for n in range(7)]
    for thread in same[:1]:
        thread.start()
    assert begun.acquire(timeout=10)
    for thread in [*same[1:], *others]:
        thread.start()
    assert begun.acquire(timeout=10)
    while login._inside._value:
        pass
    with pytest.raises(GatewayBusy):
        login.caller_of(coded("one:too many"), "10.0.0.1")
    gate.set()
    for thread in [*same, *others]:
        thread.join()
    assert Counter(results) == {"anna": 20, Unauthenticated: 7}
    assert most[0] == basic._AT_ONCE
