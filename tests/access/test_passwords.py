"""Passwords and their hashes."""

import pytest

from dicomweb_gateway.access.passwords import Cost, PasswordHash, hash_password, parse_hash

CHEAP = Cost(n=2, r=1, p=1)


def test_password_hashes():
    made = hash_password("pässword", CHEAP)
    assert parse_hash(str(made)) == made
    assert made.fits("pa\u0308ssword")
    assert not made.fits("password")
    assert str(hash_password("pässword", CHEAP)) != str(made)
    assert isinstance(made, PasswordHash)
    assert str(made).rpartition("$")[2] not in repr(made)


GOOD = f"scrypt$2$1$1${'A' * 22}==${'A' * 43}="


@pytest.mark.parametrize(
    "text",
    [
        "",
        "password",
        "scrypt$16384$8$5$AAAA$AAAA",
        GOOD.replace("scrypt", "md5"),
        GOOD.replace("$2$1$1$", "$3$1$1$"),
        GOOD.replace("$2$1$1$", "$1048576$8$1$"),
        GOOD.replace("$2$1$1$", "$2$1$999$"),
        GOOD.replace("$2$1$1$", "$-2$1$1$"),
        f"{GOOD}=",
    ],
)
def test_hashes_that_are_none(text):
    assert parse_hash(GOOD).cost == CHEAP
    with pytest.raises(ValueError, match="scrypt"):
        parse_hash(text)
