"""The client's address is what trusted proxies say, and never what the client says itself."""

import pytest

from dicomweb_gateway.access.addresses import client_address, client_key

PROXIES = ("10.0.0.0/8", "fd00::/8")

CASES = [
    ("no proxy: the headers are the client's own", "8.8.8.8", "1.1.1.1", None, None, "8.8.8.8"),
    ("one proxy", "10.0.0.1", "8.8.8.8", None, None, "8.8.8.8"),
    ("what the client wrote further left", "10.0.0.1", "1.1.1.1, 8.8.8.8", None, None, "8.8.8.8"),
    ("two proxies", "10.0.0.1", "1.1.1.1, 8.8.8.8, 10.0.0.2", None, None, "8.8.8.8"),
    ("a client that names a proxy", "10.0.0.1", "10.0.0.9, 8.8.8.8", None, None, "8.8.8.8"),
    ("only proxies: the farthest", "10.0.0.1", "10.0.0.3, 10.0.0.2", None, None, "10.0.0.3"),
    ("nonsense ends the chain", "10.0.0.1", "8.8.8.8, unknown, 10.0.0.2", None, None, "10.0.0.2"),
    ("nonsense alone", "10.0.0.1", "'; DROP TABLE", None, None, "10.0.0.1"),
    ("an empty member", "10.0.0.1", "8.8.8.8,", None, None, "10.0.0.1"),
    ("with a port", "10.0.0.1", "8.8.8.8:4711", None, None, "8.8.8.8"),
    ("IPv6 with brackets and port", "fd00::1", None, 'for="[2001:db8::7]:99"', None, "2001:db8::7"),
    ("Forwarded", "10.0.0.1", None, "for=1.1.1.1, for=8.8.8.8;proto=https", None, "8.8.8.8"),
    ("Forwarded, obfuscated", "10.0.0.1", None, "for=_hidden", None, "10.0.0.1"),
    ("both, alike", "10.0.0.1", "8.8.8.8", "for=8.8.8.8", None, "8.8.8.8"),
    ("both, not alike: one is the client's own", "10.0.0.1", "8.8.8.8", "for=1.1.1.1", None, "10.0.0.1"),
    ("X-Real-IP", "10.0.0.1", None, None, "8.8.8.8", "8.8.8.8"),
    ("X-Real-IP beside a chain", "10.0.0.1", "8.8.8.8", None, "1.1.1.1", "8.8.8.8"),
    ("an IPv4 peer of a socket for both", "::ffff:10.0.0.1", "8.8.8.8", None, None, "8.8.8.8"),
    ("no peer", "", "8.8.8.8", None, None, ""),
    ("endless", "10.0.0.1", "8.8.8.8, " * 500 + "8.8.8.8", None, None, "10.0.0.1"),
    ("unicode digits", "10.0.0.1", "٨.8.8.8", None, None, "10.0.0.1"),
]


@pytest.mark.parametrize(
    ("peer", "x_forwarded_for", "forwarded", "x_real_ip", "client"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_client_address(peer, x_forwarded_for, forwarded, x_real_ip, client):
    assert client_address(peer, x_forwarded_for, forwarded, x_real_ip, PROXIES) == client


def test_without_trusted_proxies_nothing_is_believed():
    assert client_address("10.0.0.1", "8.8.8.8", None, None, ()) == "10.0.0.1"


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("8.8.8.8", "8.8.8.8"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:8.8.8.8", "8.8.8.8"),
        ("not one", "not one"),
    ],
)
def test_what_clients_are_counted_by(address, key):
    assert client_key(address) == key
