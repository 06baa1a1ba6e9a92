"""A demo that asks for a login: a real service with an identity provider, tokens and passwords."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest
import requests
from requests.auth import HTTPBasicAuth

from dicomweb_gateway.workflow.samples import write_synthetic_series
from tests.access.provider import Provider, jwk
from tests.e2e.node import FOLDER, need_chromium, need_packages
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
    options.append("web_processes=2")
    run(data / "data", "users", "set", "carla", "--groups", "readers", given="battery staple\n")
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
    log = running.text()
    assert "logins: oidc, token, basic" in log
    for secret in (token, static, "correct horse", "scrypt$", "token="):
        assert secret not in log


def log_in(root, session):
    """Log carla in by the form; the proof that her pages know."""
    form = re.search(r'name="csrf" value="(\w+)"', session.get(f"{root}/login", timeout=30).text)
    fields = {"csrf": form[1], "name": "carla", "password": "battery staple"}
    done = session.post(f"{root}/login", data=fields, headers={"Origin": root}, timeout=30)
    return re.search(r'data-csrf="(\w+)"', done.text)[1]


def test_a_viewer_reads_by_the_ticket_of_a_browser_on_all_processes(demo):
    running, _ = demo
    root = running.root.replace("127.0.0.1", "localhost")
    with requests.Session() as browser:
        proof = {"X-CSRF-Token": log_in(root, browser), "Origin": root}
        study = browser.get(f"{root}/aetitle/studies", timeout=30).json()[0]["0020000D"]["Value"][0]
        asked = {"base": "/aetitle", "study": study}
        given = browser.post(f"{root}/tickets", json=asked, headers=proof, timeout=30)
        ticket = {"Authorization": f"Bearer {given.json()['ticket']}"}
        # each connection comes to one of the processes
        for _ in range(6):
            assert status(running, f"/aetitle/studies/{study}/metadata", headers=ticket) == 200
            assert status(running, "/session", headers=ticket) == 401
        assert browser.post(f"{root}/logout", headers=proof, timeout=30).status_code == 200
        until = time.monotonic() + 20
        while status(running, f"/aetitle/studies/{study}/metadata", headers=ticket) == 200:
            assert time.monotonic() < until
            time.sleep(0.2)
    assert given.json()["ticket"] not in running.text()


def test_keys_rotate_under_load_and_the_provider_goes_away(demo, provider):
    running, _ = demo
    old, new = provider.token(), [provider.token("two", sub=f"user {n}") for n in range(8)]
    assert status(running, headers={"token": old}) == 200
    tokens, statuses, done = [old], Counter(), threading.Event()

    def work():
        with requests.Session() as session:
            while not done.is_set():
                for token in list(tokens):
                    url = f"{running.root}/aetitle/studies"
                    statuses[session.get(url, headers={"token": token}, timeout=30).status_code] += 1

    workers = [threading.Thread(target=work) for _ in range(6)]
    for worker in workers:
        worker.start()
    # the provider publishes the new key, signs with it, and then is away
    provider.keys = [jwk("one"), jwk("two")]
    wait_for_more(statuses, 50)
    tokens += new
    wait_for_more(statuses, 300)
    provider.fail = 503
    wait_for_more(statuses, 100)
    done.set()
    for worker in workers:
        worker.join()
    assert set(statuses) == {200}
    assert status(running, headers={"token": provider.token("three")}) == 401


def test_what_is_unknown_is_hunted_for_and_refused_by_all_processes_together(demo, provider):
    """Each request has a connection of its own, so both processes get some."""
    running, _ = demo
    provider.fail = None
    before, began = provider.asked["jwks"], time.monotonic()
    for number in range(40):
        assert status(running, headers={"token": provider.token(f"junk {number % 10}")}) == 401
    most = 1 + (time.monotonic() - began) // 10
    assert provider.asked["jwks"] - before <= most
    wrong = [status(running, auth=HTTPBasicAuth("nobody", f"wrong {number}")) for number in range(8)]
    assert wrong[:5] == [401] * 5
    assert 429 in wrong


def wait_for_more(statuses, count):
    goal = statuses.total() + count
    until = time.monotonic() + 60
    while statuses.total() < goal:
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_browser_logs_in_stays_in_and_goes_on_after_its_login_has_ended(demo, tmp_path):
    node, chromium = need_packages(), need_chromium()
    running, _ = demo
    task = {
        "chromium": chromium,
        "profile": str(tmp_path / "profile"),
        "root": running.root,
        "user": "carla",
        "password": "battery staple",
        "patience": 60_000,
        "shots": None,
    }
    done = subprocess.run(
        [node, "login.mjs"], cwd=FOLDER, input=json.dumps(task), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert (seen["failures"], seen["errors"]) == ([], [])
    assert seen["login"] == "/login?next=%2Fpages%2Faccount"
    assert seen["told"] == "user name or password is wrong"
    assert seen["account"] == "/pages/account"
    assert "carla" in seen["facts"]
    assert "readers" in seen["facts"]
    assert seen["keyboard"] == "Skip to the content"
    assert "Your login has ended" in seen["ended"]
    assert seen["again"] == seen["left"] == 200
    assert all(one["httpOnly"] and one["sameSite"] == "Lax" for one in seen["cookies"])
    assert "battery staple" not in running.text()


def until_known(running, static):
    """Each process looks at the files once a second at most."""
    for _ in range(200):
        if status(running, headers={"token": static}) == 200:
            return
    raise AssertionError("the new token is not taken")
