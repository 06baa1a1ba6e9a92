"""StoreDICOM as the gateway asks it, of an emulator that checks signatures and misbehaves."""

import hashlib
import hmac
import json
import socket
import time
from io import BytesIO

import pytest
import requests

from dicomweb_gateway.dicom.store_response import read_response
from dicomweb_gateway.emulator.signatures import Secret
from dicomweb_gateway.errors import (
    PayloadTooLarge,
    UpstreamDenied,
    UpstreamFailed,
    UpstreamNotFound,
    UpstreamThrottled,
    UpstreamTimeout,
)
from dicomweb_gateway.imagesets import storing
from dicomweb_gateway.imagesets.storing import DicomStore, Piece, framing_bytes
from dicomweb_gateway.telemetry.catalogue import (
    UPSTREAM_CALLS,
    UPSTREAM_FAILURES,
    UPSTREAM_RETRIES,
    UPSTREAM_THROTTLED,
)
from dicomweb_gateway.telemetry.meters import totals
from tests.emulator.files import ROOT, ct_slice
from tests.emulator.running import running
from tests.stow.parts import CONTENT_TYPE, framed, part10


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    secrets = {"test": Secret("test"), "session": Secret("s3cret", "token")}
    with running(tmp_path_factory.mktemp("signed"), workers=1, verify_signatures=secrets) as one:
        yield one


@pytest.fixture(scope="module")
def datastore_id(emulator) -> str:
    return emulator.datastore()


@pytest.fixture
def login(monkeypatch):
    def put(key="test", secret="test", token=None):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
        if token:
            monkeypatch.setenv("AWS_SESSION_TOKEN", token)

    put()
    return put


def pieces(*contents: bytes) -> list[Piece]:
    return [Piece(BytesIO(b"x" + one), 1, len(one)) for one in contents]


def store(emulator, datastore_id, *contents, seconds=60.0, url=None):
    store = DicomStore(url or emulator.url, "us-east-1")
    return store.store(datastore_id, pieces(*contents), time.monotonic() + seconds)


def rules(emulator, *faults) -> None:
    emulator.side("PUT", "faults", json={"rules": list(faults)})


@pytest.fixture
def faults(emulator):
    yield lambda *some: rules(emulator, *some)
    rules(emulator)


def counted() -> list[float]:
    series = (UPSTREAM_CALLS, UPSTREAM_RETRIES, UPSTREAM_THROTTLED, UPSTREAM_FAILURES)
    return [totals().get((metric.name, (storing.OPERATION,)), [0.0])[0] for metric in series]


def test_what_is_signed_is_stored(emulator, datastore_id, login):
    found = store(emulator, datastore_id, part10(ct_slice(1)), b"no DICOM", part10(ct_slice(2)))
    assert [(one.instance_uid, one.failure) for one in found] == [
        (f"{ROOT}.1.1.1", None),
        (f"{ROOT}.1.1.2", None),
        ("", 0xC000),
    ]


def test_none_stored_is_an_answer_too(emulator, datastore_id, login):
    [one] = store(emulator, datastore_id, b"no DICOM")
    assert one.failure == 0xC000


def test_session_tokens_are_signed(emulator, datastore_id, login):
    login("session", "s3cret", "token")
    assert store(emulator, datastore_id, part10(ct_slice(1)))[0].failure is None


def test_wrong_credentials(emulator, datastore_id, login):
    login("test", "wrong")
    with pytest.raises(UpstreamDenied):
        store(emulator, datastore_id, part10(ct_slice(1)))


def test_a_data_store_that_does_not_exist(emulator, login):
    with pytest.raises(UpstreamNotFound):
        store(emulator, "a" * 32, part10(ct_slice(1)))


def test_what_fails_for_a_moment_is_tried_again(emulator, datastore_id, login, faults):
    faults({"kind": "error", "status": 503, "calls": 1}, {"kind": "throttle", "calls": 1})
    before = counted()
    assert store(emulator, datastore_id, part10(ct_slice(1)))[0].failure is None
    # operators see it as they see calls for frames
    assert [now - then for now, then in zip(counted(), before, strict=True)] == [2, 1, 0, 1]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "error", "status": 500}, UpstreamFailed),
        ({"kind": "throttle"}, UpstreamThrottled),
        ({"kind": "denied"}, UpstreamDenied),
        ({"kind": "cut"}, UpstreamFailed),
        ({"kind": "drop", "at": "answer"}, UpstreamFailed),
    ],
)
def test_what_keeps_failing_is_told(emulator, datastore_id, login, faults, fault, error):
    faults(fault)
    with pytest.raises(error):
        store(emulator, datastore_id, part10(ct_slice(1)))


def test_an_upstream_that_hangs_is_waited_for_no_longer_than_asked(emulator, datastore_id, login, faults):
    faults({"kind": "hang", "wait": 20})
    began = time.monotonic()
    with pytest.raises(UpstreamTimeout):
        store(emulator, datastore_id, part10(ct_slice(1)), seconds=1)
    assert time.monotonic() - began < 10


def test_nobody_is_there(emulator, datastore_id, login):
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    with pytest.raises(UpstreamFailed, match="no connection"):
        store(emulator, datastore_id, part10(ct_slice(1)), url=f"http://127.0.0.1:{port}")


def test_more_than_one_request_may_have(emulator, datastore_id, login, monkeypatch):
    part = part10(ct_slice(1))
    monkeypatch.setattr(storing, "MOST_BYTES", len(part) + framing_bytes(1))
    assert store(emulator, datastore_id, part)[0].failure is None
    monkeypatch.setattr(storing, "MOST_BYTES", len(part) + framing_bytes(1) - 1)
    with pytest.raises(PayloadTooLarge):
        store(emulator, datastore_id, part)


def test_a_dicomweb_endpoint_of_its_own(emulator, datastore_id, login):
    apart = DicomStore("http://127.0.0.1:9", "us-east-1", emulator.url + "/")
    [one] = apart.store(datastore_id, pieces(part10(ct_slice(1))), time.monotonic() + 60)
    assert one.failure is None


def test_at_aws_the_host_is_that_of_dicomweb(login):
    endpoint = DicomStore(None, "eu-west-1")._resolved()
    assert endpoint.url.replace(*storing._HOSTS) == "https://dicom-medical-imaging.eu-west-1.amazonaws.com"


def streamed(body: bytes, secret: str, url: str, chunk: int = 1000) -> tuple[dict[str, str], bytes]:
    """Headers and body signed chunk by chunk, by the description of the algorithm."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    scope = f"{stamp[:8]}/us-east-1/medical-imaging/aws4_request"
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")

    def sign(*lines: str) -> str:
        return hmac.new(key, "\n".join(lines).encode(), "sha256").hexdigest()

    def digest(data: bytes) -> str:
        return hashlib.sha256(data).hexdigest()

    kind = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
    host, path = url.removeprefix("http://").split("/", 1)
    signed = {
        "host": host,
        "x-amz-content-sha256": kind,
        "x-amz-date": stamp,
        "x-amz-decoded-content-length": str(len(body)),
    }
    lines = "".join(f"{name}:{value}\n" for name, value in signed.items())
    names = ";".join(signed)
    canonical = f"POST\n/{path}\n\n{lines}\n{names}\n{kind}".encode()
    last = sign("AWS4-HMAC-SHA256", stamp, scope, digest(canonical))
    authorization = f"AWS4-HMAC-SHA256 Credential=test/{scope}, SignedHeaders={names}, Signature={last}"
    framed_body = b""
    for start in [*range(0, len(body), chunk), len(body)]:
        data = body[start : start + chunk]
        last = sign("AWS4-HMAC-SHA256-PAYLOAD", stamp, scope, last, digest(b""), digest(data))
        framed_body += f"{len(data):x};chunk-signature={last}\r\n".encode() + data + b"\r\n"
    return {**signed, "Authorization": authorization, "Content-Type": CONTENT_TYPE}, framed_body


def test_bodies_that_are_signed_chunk_by_chunk(emulator, datastore_id):
    url = f"{emulator.url}/datastore/{datastore_id}/studies"
    headers, body = streamed(framed(part10(ct_slice(1))), "test", url)
    answer = requests.post(url, data=body, headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text
    assert read_response(json.loads(answer.content))[0].failure is None
    forged = body[:500] + b"X" + body[501:]
    assert requests.post(url, data=forged, headers=headers, timeout=60).status_code == 403
    assert requests.post(url, data=body[:-100], headers=headers, timeout=60).status_code == 400
