"""A demo that asks for a login: a real service with an identity provider, tokens and passwords."""

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
from tests.e2e.node import drive
from tests.e2e.running import start_demo
from tests.e2e.upload_files import (
    BAD_NAME,
    FILM,
    NAME,
    SLICES,
    UNDECODABLE,
    UNPLAYABLE,
    write_folders,
)
from tests.emulator.files import ROOT

PASSWORD = "battery staple"
RULES = """
[[rules]]
[[rules]]
groups = ["readers"]
operations = ["import"]
"""


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
    options += ["web_processes=2", "ae_path=/aetitle,/second", f"access_rules={data / 'rules.toml'}"]
    (data / "rules.toml").write_text(RULES)
    run(data / "data", "users", "set", "carla", "--groups", "readers", given=f"{PASSWORD}\n")
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


@pytest.fixture(scope="module")
def seen(demo, tmp_path_factory):
    """What `login.mjs` saw; what that is stands there."""
    running, data = demo
    folder, more = (tmp_path_factory.mktemp("upload") / name for name in ("chosen", "dropped"))
    write_folders(folder, more, data.parent / "in" / "001.dcm")
    return drive(
        "login.mjs",
        root=running.root,
        user="carla",
        password=PASSWORD,
        folder=str(folder),
        more=str(more),
        unwanted=f"{ROOT}.95",
        film=FILM,
        unplayable=UNPLAYABLE,
        undecodable=UNDECODABLE,
    )


def test_nothing_fails_in_the_browser_and_everybody_can_read_it(seen):
    assert (seen["errors"], seen["failures"]) == ([], [])
    assert (seen["unread"], seen["wide"]) == ([], [])
    assert (seen["dialogs"], seen["alive"]) == (0, [])


def test_a_browser_logs_in_stays_in_and_goes_on_after_its_login_has_ended(seen, demo):
    assert seen["login"] == "/login?next=%2Fpages%2Faccount"
    assert seen["told"] == "user name or password is wrong"
    assert seen["account"] == "/pages/account"
    assert "carla" in seen["facts"]
    assert "readers" in seen["facts"]
    assert seen["keyboard"] == "Skip to the content"
    assert "Your login has ended" in seen["ended"]
    assert seen["again"] == seen["left"] == 200
    assert all(one["httpOnly"] and one["sameSite"] == "Lax" for one in seen["cookies"])
    assert PASSWORD not in demo[0].text()


def test_bad_files_are_left_out_with_the_reason(seen):
    upload = seen["upload"]
    assert upload["found"] == f"{SLICES + 1} files of 2 studies found, 3 left out."
    assert sorted(row.split("\t")[1] for row in upload["refused"]) == [
        "it has no StudyInstanceUID",
        "it is cut off inside element (7FE0,0010): 100 bytes are missing",
        "not DICOM",
    ]
    assert any(BAD_NAME in row for row in upload["refused"])
    assert any(NAME in row and "UP-1" in row for row in upload["rows"])
    assert any("<b>Head</b>, 2024-03-11" in row for row in upload["rows"])


def test_an_upload_goes_on_after_a_lost_connection_and_an_ended_login(seen, demo):
    """The first request is cut off; the login ends before it is sent again: what was stored since stays."""
    upload = seen["upload"]
    first, refused, again = upload["posts"][:3]
    assert {first, again} <= {200, 202}
    assert refused == 401
    told = [text.partition(".")[0] for text in upload["told"] if not text.startswith(("Sending", "Waiting"))]
    assert told == [
        "The connection is lost",
        "Your login has ended",
        f"Done: {SLICES} files stored, 1 failed",
    ]
    assert re.match(rf"(5|6|49|50) of {SLICES + 1} files stored", upload["kept"])
    assert "Close this tab" in upload["beside"]
    assert NAME in upload["shown"] or "SYNTHETIC, CT" in upload["shown"]
    rows = requests.get(
        f"{demo[0].base}/studies/{ROOT}.97/instances", auth=HTTPBasicAuth("carla", PASSWORD), timeout=30
    )
    assert len(rows.json()) == SLICES


def test_progress_is_told_in_bytes(seen):
    gone = seen["upload"]["gone"]
    assert len(set(gone)) > 2
    assert max(gone) > 10_000


def test_what_the_gateway_refuses_is_told_by_file(seen):
    upload = seen["upload"]
    (row,) = upload["failed"]
    path, reason = row.split("\t")
    assert path.endswith("Größe 頭部/stolen.dcm")
    assert reason.endswith("(A901)")
    assert sorted(state.splitlines()[0] for state in upload["states"])[0].startswith(
        "0 of 1 stored, 1 failed"
    )
    assert upload["sentAgain"] == 409


def test_a_folder_is_dropped_and_a_study_of_it_not_sent(seen):
    dropped = seen["dropped"]
    assert dropped["found"] == "6 files of 5 studies found."
    states = sorted(state.partition(" Look")[0] for state in dropped["states"])
    assert states == ["1 of 1 stored"] * 3 + ["2 of 2 stored", "not sent yet"]
    assert dropped["done"] == "Done: 5 files stored."


def test_what_no_browser_shows_is_played_saved_or_told_of(seen):
    """By the second service, with no error on the console."""
    unseen = seen["unseen"]
    assert "base=%2Fsecond" in unseen["address"]
    assert unseen["ways"] == ["/second"] * 3
    assert unseen["film"] == [64, 64]
    assert unseen["saved"] == [f"{UNPLAYABLE}.1.1.video", None]
    assert unseen["message"].startswith("This image cannot be shown: JPEG Baseline")


def until_known(running, static):
    """Each process looks at the files once a second at most."""
    for _ in range(200):
        if status(running, headers={"token": static}) == 200:
            return
    raise AssertionError("the new token is not taken")
