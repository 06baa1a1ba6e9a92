"""Host rule (dicomweb.md H-1)."""

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from dicomweb_gateway.errors import InvalidRequest
from dicomweb_gateway.web.access import check_host
from dicomweb_gateway.web.services import WebConfig


def config(**more):
    return WebConfig(
        **{"ae_paths": ("/aetitle",), "public_url": None, "port": 8080, "boundary_key": b"k", **more}
    )


def request(method="GET", **headers):
    return Request(EnvironBuilder("/aetitle/studies", method=method, headers=headers).get_environ())


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8080",
        "viewer.localhost",
        "127.0.0.1:8080",
        "[::1]:8080",
        "192.168.1.5:8080",
        "gw.example.org",
        "GW.example.org:99",
    ],
)
def test_hosts_that_are_answered(host):
    check_host(request(Host=host), config(allowed_hosts=("gw.example.org",)))


@pytest.mark.parametrize(
    "host",
    ["evil.example.org", "localhost.evil.org", "127.0.0.1.evil.org", "[bad", "", "a b", "localhost@evil.org"],
)
def test_foreign_hosts_are_refused(host):
    with pytest.raises(InvalidRequest, match="ALLOWED_HOSTS"):
        check_host(request(Host=host), config(allowed_hosts=("gw.example.org",)))


def test_only_http_1_0_may_leave_its_host_out():
    for version, allowed in (("HTTP/1.0", True), ("HTTP/1.1", False)):
        environ = EnvironBuilder("/health").get_environ()
        del environ["HTTP_HOST"]
        asked = Request({**environ, "SERVER_NAME": "waitress.invalid", "SERVER_PROTOCOL": version})
        if allowed:
            check_host(asked, config())
        else:
            with pytest.raises(InvalidRequest):
                check_host(asked, config())


def test_with_a_login_any_host_will_do():
    check_host(request(Host="evil.example.org"), config(host_rule_on=False))
