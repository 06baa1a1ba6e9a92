"""What a cache server gives back is taken only if a host of the same service put it there for that key."""

import pytest

from dicomweb_gateway.shared.sealing import Sealer

KEY = ("level0", "a", "b")
SEALER = Sealer(b"secret")
NAME = SEALER.name(KEY)


def test_a_value_comes_back():
    assert SEALER.opened(NAME, SEALER.seal(NAME, b"value", 60)) == b"value"
    assert SEALER.opened(NAME, SEALER.seal(NAME, b"", 60)) == b""


def test_names_are_plain_and_tell_keys_and_services_apart():
    keys = [KEY, ("level0", "ab", ""), ("level0", "a", "b", ""), ("document", "a", "b")]
    names = {sealer.name(key) for key in keys for sealer in (SEALER, Sealer(b"other"))}
    assert len(names) == 8
    assert all(name.isascii() and " " not in name and len(name) < 250 for name in names)


@pytest.mark.parametrize("at", [0, 5, 11, 13, 43, 44, 48])
def test_one_bit_makes_it_nothing(at):
    sealed = bytearray(SEALER.seal(NAME, b"value", 60))
    sealed[at] ^= 1
    assert SEALER.opened(NAME, bytes(sealed)) is None


@pytest.mark.parametrize("cut", [0, 10, 43, 48])
def test_torn_values_are_nothing(cut):
    assert SEALER.opened(NAME, SEALER.seal(NAME, b"value", 60)[:cut]) is None


def test_another_keys_value_another_secrets_value_and_an_old_one_are_nothing():
    other = SEALER.name(("level0", "a", "c"))
    assert SEALER.opened(NAME, SEALER.seal(other, b"value", 60)) is None
    assert SEALER.opened(NAME, Sealer(b"other").seal(NAME, b"value", 60)) is None
    assert SEALER.opened(NAME, SEALER.seal(NAME, b"value", -1)) is None
    assert SEALER.opened(NAME, SEALER.seal(NAME, b"value", 60) + b"more") is None
