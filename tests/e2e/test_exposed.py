"""A gateway that others reach: behind nginx, its audit log under load, its limits over all processes."""

import json
import os
import random
import re
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from dicomweb_gateway.workflow.samples import write_synthetic_series

from .exposed import nginx_before
from .served import filled_gateway, run, serving

MULTIPART = 'multipart/related; type="application/dicom"; transfer-syntax=*'


ROOT = "1.2.826.0.1.3680043.10.1443.77"
STUDY = f"/aetitle/studies/{ROOT}.1"
PATHS = {
    "study": STUDY,
    "frame": f"{STUDY}/series/{ROOT}.2/instances/{ROOT}.3.1/frames/1",
    "metadata": f"{STUDY}/series/{ROOT}.2/metadata",
}
"""Of the synthetic series."""


@dataclass
class Open:
    """A running gateway that trusts a proxy: its root URL, its audit log and its own log."""

    root: str
    audit: Path
    log: Path

    @property
    def port(self) -> int:
        port = urlsplit(self.root).port
        assert port is not None
        return port


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a gateway whose index and emulator are filled."""
    folder = tmp_path_factory.mktemp("exposed")
    write_synthetic_series(folder / "in", slices=24, size=512)
    with filled_gateway(folder) as environment:
        yield environment


@pytest.fixture(scope="module")
def opened(filled: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    folder = tmp_path_factory.mktemp("opened")
    audit, log = folder / "audit.log", folder / "serve.log"
    settings = {"TRUSTED_PROXIES": "127.0.0.1", "AUDIT_LOG": str(audit), "HSTS_SECONDS": "60"}
    with serving({**filled, **settings}, log) as (_, base):
        # so that frames are in the frame store
        requests.get(f"{base}{STUDY}", headers={"Accept": MULTIPART}, timeout=60)
        yield Open(base, audit, log)


def lines_in(*files: Path) -> list[dict[str, object]]:
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def requests_in(*files: Path) -> list[dict[str, object]]:
    return [line for line in lines_in(*files) if "status" in line]


def test_behind_nginx(opened: Open, tmp_path: Path) -> None:
    before = len(requests_in(opened.audit))
    with nginx_before(tmp_path / "nginx", f"127.0.0.1:{opened.port}") as front:
        assert front.protocol() == "h2"
        status, headers, body = front.get("/aetitle/studies?limit=1")
        assert status == 200
        link = json.loads(body)[0]["00081190"]["Value"][0]
        assert link.startswith(f"https://localhost:{front.port}/aetitle/studies/")
        assert "strict-transport-security" in headers
        assert headers["server"] == "nginx"

        spoofed = {
            "X_Forwarded_For": "6.6.6.6",
            "X_Real_IP": "6.6.6.6",
            "Forwarded": "for=6.6.6.6;host=evil.example.org",
            "X_Forwarded_Host": "evil.example.org",
            "X_Forwarded_Prefix": "/evil",
        }
        _, _, again = front.get("/aetitle/studies?limit=1", "127.0.0.6", **spoofed)
        assert again == body
        direct = requests.get(f"{opened.root}{STUDY}", headers={"Accept": MULTIPART}, timeout=60)
        for _ in range(3):
            status, headers, through = front.get(STUDY, Accept=MULTIPART)
            assert status == 200
            assert len(through) > 4 << 20
            assert through == direct.content
        status, headers, part = front.get(
            PATHS["frame"],
            Accept="application/octet-stream; transfer-syntax=*",
            Range="bytes=0-99",
        )
        assert (status, len(part)) == (206, 100)
        assert front.get(f"{PATHS['frame']}?token=geheim&x=%2e%2e")[0] == 200
        assert front.get("/aetitle%2fstudies")[0] in (400, 404)
        text = front.log.read_text()
    addresses = [line["address"] for line in requests_in(opened.audit)[before:]]
    # a line of an earlier test may come late, of a client that asked without nginx
    assert [one for one in addresses if one != "127.0.0.1"][:2] == ["127.0.0.5", "127.0.0.6"]
    assert "127.0.0.1" in addresses
    assert "6.6.6.6" not in opened.audit.read_text()
    assert "geheim" not in text + opened.audit.read_text() + opened.log.read_text()


def test_a_browser_logs_in_through_nginx(filled: dict[str, str], tmp_path: Path) -> None:
    """Two web processes, and the cookie that only TLS has."""
    settings = {"TRUSTED_PROXIES": "127.0.0.1", "ADMIN_PASSWORD": "battery staple", "HOST": "127.0.0.1"}
    with serving({**filled, **settings}, tmp_path / "serve.log") as (_, base):
        with nginx_before(tmp_path / "nginx", urlsplit(base).netloc) as front, requests.Session() as browser:
            browser.verify, browser.trust_env = str(front.certificate), False
            browser.headers["Accept"] = "text/html"
            root = f"https://localhost:{front.port}"
            form = browser.get(f"{root}/status", timeout=30)
            assert form.url == f"{root}/login?next=%2Fstatus"
            hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form.text))
            asked = {**hidden, "name": "admin", "password": "battery staple"}
            evil = {"Origin": "https://evil.example.org"}
            assert browser.post(f"{root}/login", data=asked, headers=evil, timeout=30).status_code == 403
            done = browser.post(f"{root}/login", data=asked, headers={"Origin": root}, timeout=30)
            assert (done.status_code, done.url) == (200, f"{root}/status")
            assert "__Host-dicomweb-session" in browser.cookies
            for _ in range(20):
                # a connection each, so that both processes are asked
                with requests.Session() as other:
                    other.cookies = browser.cookies
                    answer = other.get(f"{root}{PATHS['metadata']}", verify=browser.verify, timeout=30)
                assert answer.status_code == 200
        log = (tmp_path / "serve.log").read_text()
        for secret in ("battery staple", *browser.cookies.values()):
            assert secret not in log


def test_frames_that_nginx_keeps_are_each_logins_own(
    filled: dict[str, str], opened: Open, tmp_path: Path
) -> None:
    record = requests.get(f"{filled['AHI_ENDPOINT']}/_emulator/counters", timeout=20).json()
    frame = next(iter(record["frames"]))
    # the emulator names frames by their ids alone, so where this one lies is asked of the metadata
    path = tlm_path(filled, frame)
    with nginx_before(tmp_path / "nginx", f"127.0.0.1:{opened.port}", options=["cache"]) as front:
        states = [
            front.get(path, **headers)[1]["x-cache"]
            for headers in (
                {},
                {},
                {"Authorization": "Bearer x"},
                {"token": "x"},
                {"Origin": "http://localhost"},
            )
        ]
        assert states == ["MISS", "HIT", "MISS", "MISS", "MISS"]
        assert front.get(path)[2] == requests.get(f"{opened.root}{path}", timeout=20).content


def tlm_path(filled: dict[str, str], frame: str) -> str:
    """HealthImaging's own address of a frame of the one image set that there is."""
    import boto3
    from botocore.config import Config

    client = boto3.client(
        "medical-imaging",
        endpoint_url=filled["AHI_ENDPOINT"],
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
        config=Config(inject_host_prefix=False),
    )
    store = client.list_datastores()["datastoreSummaries"][0]["datastoreId"]
    found = client.search_image_sets(datastoreId=store)["imageSetsMetadataSummaries"][0]["imageSetId"]
    return f"/datastore/{store}/imageSet/{found}/getImageFrame?imageFrameId={frame}"


KINDS = ("frame", "frame", "search", "metadata", "missing", "wrong", "study", "rude", "gone")


class Load:
    """Clients that ask, each with a mark of its own, and what they saw."""

    def __init__(self, base: str, name: str = "m", may_fail: bool = False) -> None:
        self._name = name
        self.may_fail = may_fail
        self._address = (urlsplit(base).hostname, urlsplit(base).port)
        self._base = base
        self._lock = threading.Lock()
        self.seen: dict[str, int | None] = {}
        """Status by mark; None for a client that hung up."""

    def work(self, number: int, count: int) -> None:
        dice = random.Random(number)
        session = requests.Session()
        for turn in range(count):
            mark = f"{self._name}{number}-{turn}"
            kind = dice.choice(KINDS)
            path = {
                "search": f"/aetitle/studies?PatientID={mark}",
                "missing": f"/aetitle/studies/9.9/metadata?mark={mark}",
                "wrong": f"/aetitle/studies/abc/metadata?mark={mark}",
                "rude": f"{PATHS['study']}?mark={mark}",
                "gone": f"{PATHS['frame']}?mark={mark}",
            }.get(kind) or f"{PATHS[kind]}?mark={mark}"
            if kind in ("rude", "gone"):
                self._hang_up(path, 1000 if kind == "rude" else 0)
                status = None
            else:
                accept = {"Accept": MULTIPART} if kind == "study" else {}
                status = self._ask(session, path, accept)
            with self._lock:
                self.seen[mark] = status
        session.close()

    def _ask(self, session: requests.Session, path: str, headers: dict[str, str]) -> int | None:
        """The status of an answer that has come whole; None where its process was killed."""
        try:
            return session.get(f"{self._base}{path}", headers=headers, timeout=60).status_code
        except requests.RequestException:
            if not self.may_fail:
                raise
            return None

    def hold(self, mark: str) -> socket.socket:
        """A client that has begun to take a study and stands still."""
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(self._address)
        slow.sendall(f"GET {STUDY}?mark={mark} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert slow.recv(12) == b"HTTP/1.1 200"
        self.seen[mark] = None
        return slow

    def _hang_up(self, path: str, after: int) -> None:
        with socket.create_connection(self._address) as rude:
            rude.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n".encode())
            if after:
                with suppress(ConnectionResetError):
                    rude.recv(after)


def mark_of(line: dict[str, object]) -> str:
    query = line["query"]
    assert isinstance(query, dict)
    return str(query.get("mark") or query.get("PatientID"))


def kill_under_load(base: str, log: Path) -> dict[str, int | None]:
    """What eight clients saw while web processes were killed four times: status by mark."""
    load = Load(base, "k", may_fail=True)
    held = [load.hold(f"held{number}") for number in range(4)]
    threads = [threading.Thread(target=load.work, args=[number, 20]) for number in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(4):
        time.sleep(0.3)
        pids = re.findall(r"web process \d started, pid (\d+)", log.read_text())
        for pid in pids[-2:]:
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
                break
    for thread in threads:
        thread.join()
    for slow in held:
        slow.close()
    return load.seen


def test_every_request_of_a_load_run_is_in_the_audit_log(filled: dict[str, str], tmp_path: Path) -> None:
    """Two web processes, eight clients, some of which hang up, and the file renamed again and again.

    Then processes are killed.
    """
    audit = tmp_path / "audit.log"
    settings = {"AUDIT_LOG": str(audit), "AUDIT_REQUIRED": "true"}
    with serving({**filled, **settings}, tmp_path / "serve.log") as (process, base):
        load = Load(base)
        threads = [threading.Thread(target=load.work, args=[number, 60]) for number in range(8)]
        for thread in threads:
            thread.start()
        rotations = 0
        while any(thread.is_alive() for thread in threads):
            time.sleep(0.2)
            with suppress(FileNotFoundError):
                audit.rename(tmp_path / f"audit.log.{rotations}")
                rotations += 1
        for thread in threads:
            thread.join()
        killed = kill_under_load(base, tmp_path / "serve.log")
        process.terminate()
        assert process.wait(40) == 0
    files = [*tmp_path.glob("audit.log.*"), *([audit] if audit.exists() else [])]
    assert rotations >= 2
    every = requests_in(*files)
    lines = [line for line in every if mark_of(line) in load.seen]
    assert Counter(map(mark_of, lines)) == dict.fromkeys(load.seen, 1)
    # each whole answer of a killed process has its line as well, and those that it had under way none or one
    counts = Counter(mark_of(line) for line in every if mark_of(line) not in load.seen)
    assert {mark: counts[mark] for mark, status in killed.items() if status is not None} == {
        mark: 1 for mark, status in killed.items() if status is not None
    }
    assert max(counts.values()) == 1
    held = [line for line in every if mark_of(line).startswith("held")]
    assert [(line["status"], line["complete"], line["killed"]) for line in held] == [(200, None, True)] * 4
    assert counts.keys() <= killed.keys()
    statuses = {mark_of(line): line["status"] for line in lines}
    assert {mark: statuses[mark] for mark, status in load.seen.items() if status is not None} == {
        mark: status for mark, status in load.seen.items() if status is not None
    }
    rude = [line for line in lines if load.seen[mark_of(line)] is None and line["study"]]
    assert any(not line["complete"] for line in rude)
    kinds = [line.get("type") for line in lines_in(*files) if "status" not in line]
    assert sorted(map(str, kinds)) == ["Application Start", "Application Stop"]


def test_the_limits_hold_over_all_web_processes(filled: dict[str, str], tmp_path: Path) -> None:
    settings = {"CLIENT_RATE_LIMIT": "0.1", "CLIENT_RATE_BURST": "20"}
    with serving({**filled, **settings}, tmp_path / "serve.log") as (_, base):
        statuses = Counter()
        for _ in range(60):
            # a connection each, so that both processes get some
            statuses[requests.get(f"{base}/aetitle/studies?limit=1", timeout=20).status_code] += 1
        assert statuses == {200: 20, 429: 40}
        assert requests.get(f"{base}/healthcheck", timeout=20).status_code == 200


def test_a_log_that_cannot_be_written_is_one_sentence(filled: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = run({**filled, "AUDIT_LOG": str(tmp_path / "file" / "audit.log")}, "serve")
    assert refused.returncode == 2
    assert "AUDIT_LOG: " in refused.stderr
    assert "Traceback" not in refused.stderr
