"""A demo that asks for a login: a real service with an identity provider, tokens and passwords."""

import os
import subprocess
import sys

import pytest
import requests
from requests.auth import HTTPBasicAuth

from dicomweb_gateway.workflow.samples import write_synthetic_series
from tests.access.provider import Provider, jwk
from tests.e2e.running import start_demo


def run(data, *arguments, given=""):
    command = [sys.executable, "-m", "dicomweb_gateway", "--set", f"data_dir={data}", *arguments]
    done = subprocess.run(
        command, input=given, capture_output=True, text=True, check=True, timeout=60, env=os.environ
    )
    return done.stdout.strip()


@pytest.fixture(scope="module")
def provider():
    made = Provider()
    yield made
    made.close()


@pytest.fixture(scope="module")
def demo(provider, tmp_path_factory):
    data = tmp_path_factory.mktemp("login")
    write_synthetic_series(data / "in", slices=2, size=64)
    options = ["auth_mode=oidc,token,basic", f"oidc_issuer={provider.issuer}", "oidc_audience=gateway"]
    made = start_demo(
        data / "data", [data / "in"], *(part for option in options for part in ("--set", option))
    )
    yield made, data / "data"
    assert made.stop() == 0


def status(demo, path="/aetitle/studies", **more):
    return requests.get(f"{demo.root}{path}", timeout=30, **more).status_code


def test_a_service_with_logins(demo, provider):
    running, data = demo
    assert status(running) == 401
    assert status(running, "/nowhere") == 401
    assert status(running, "/health") == 200
    token = provider.token()
    assert status(running, headers={"Authorization": f"Bearer {token}"}) == 200
    assert status(running, params={"token": token}) == 200
    assert status(running, headers={"token": provider.token(aud="other")}) == 401
    # both files come to be while the service runs
    static = run(data, "tokens", "new", "ct")
    run(data, "users", "set", "anna", given="correct horse\n")
    until_known(running, static)
    assert status(running, auth=HTTPBasicAuth("anna", "correct horse")) == 200
    assert status(running, auth=HTTPBasicAuth("anna", "wrong horse")) == 401
    provider.keys = [jwk("two")]
    assert status(running, headers={"token": provider.token("two")}) == 200
    log = running.text()
    assert "logins: oidc, token, basic" in log
    for secret in (token, static, "correct horse", "scrypt$", "token="):
        assert secret not in log


def until_known(running, static):
    """Each process looks at the files once a second at most."""
    for _ in range(200):
        if status(running, headers={"token": static}) == 200:
            return
    raise AssertionError("the new token is not taken")
