import gzip
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from botocore.credentials import Credentials

from dicomweb_gateway.errors import UpstreamDenied, UpstreamFailed, UpstreamTimeout, UpstreamUnavailable
from dicomweb_gateway.imagesets.healthimaging import HealthImaging
from dicomweb_gateway.imagesets.pacing import RateLimits
from dicomweb_gateway.imagesets.store import FrameKey, ImageSetRef
from dicomweb_gateway.telemetry.timeline import Timeline, following
from tests.certificates import write_certificate
from tests.frames.upstream import Reply, Upstream, error, json

STORE, IMAGE_SET, FRAME = "d" * 32, "1" * 32, "f" * 32
KEY = FrameKey(STORE, IMAGE_SET, FRAME)


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    server = Upstream()
    server.frames[FRAME] = b"frame" * 1000
    yield server
    server.close()


@pytest.fixture
def store(upstream: Upstream) -> Iterator[HealthImaging]:
    store = HealthImaging(upstream.url, read_timeout=1, connect_timeout=1, busy_seconds=1)
    yield store
    store.close()


def dated(code: str, minutes: float) -> Reply:
    """A refusal by a server whose clock differs by so many minutes."""
    now = format_datetime(datetime.now(UTC) + timedelta(minutes=minutes), usegmt=True)
    return error(403, code, Date=now)


@pytest.mark.parametrize("minutes", [-20, 600])
@pytest.mark.parametrize(
    "code", ["RequestTimeTooSkewed", "InvalidSignatureException", "SignatureDoesNotMatch"]
)
def test_a_clock_that_is_off_is_put_right(store, upstream, code, minutes):
    upstream.then(FRAME, dated(code, minutes), Reply(b"frame"))
    assert store.frame(KEY) == b"frame"
    stamp = datetime.strptime(upstream.calls[1].headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    off = stamp - datetime.now(UTC) - timedelta(minutes=minutes)
    assert abs(off) < timedelta(minutes=1)
    assert store.counters()["clock_corrections"] == 1


def test_a_wrong_signature_with_the_right_time_is_denied(store, upstream):
    upstream.then(FRAME, dated("SignatureDoesNotMatch", 0))
    with pytest.raises(UpstreamDenied):
        store.frame(KEY)
    assert upstream.frame_calls[FRAME] == 1


def write_credentials(name: str) -> None:
    with open(os.environ["AWS_SHARED_CREDENTIALS_FILE"], "w") as file:
        file.write(
            f"[default]\naws_access_key_id = {name}\naws_secret_access_key = s\naws_session_token = t\n"
        )


def test_expired_credentials_are_looked_for_anew(store, upstream):
    write_credentials("OLD")
    store.frame(KEY)
    write_credentials("NEW")
    upstream.then(FRAME, error(403, "ExpiredTokenException"), Reply(b"frame"))
    assert store.frame(KEY) == b"frame"
    used = [call.headers["Authorization"].split("Credential=")[1].split("/")[0] for call in upstream.calls]
    assert used == ["OLD", "OLD", "NEW"]
    assert upstream.calls[2].headers["X-Amz-Security-Token"] == "t"


def test_expired_credentials_without_others_are_denied(store, upstream):
    write_credentials("OLD")
    upstream.then(FRAME, error(403, "ExpiredTokenException"))
    with pytest.raises(UpstreamDenied):
        store.frame(KEY)
    assert upstream.frame_calls[FRAME] == 1


def test_the_sdk_takes_new_credentials_after_a_refusal_too(store, upstream, monkeypatch):
    monkeypatch.setattr("dicomweb_gateway.imagesets.healthimaging._CLIENT_SECONDS", 0)
    found = {"imageSetId": IMAGE_SET, "datastoreId": STORE, "versionId": "1", "imageSetState": "ACTIVE"}
    upstream.then("getImageSet", error(403, "ExpiredTokenException"), json(found))
    write_credentials("OLD")
    with pytest.raises(UpstreamDenied):
        store.image_set(ImageSetRef(STORE, IMAGE_SET))
    write_credentials("NEW")
    assert store.image_set(ImageSetRef(STORE, IMAGE_SET)).ref.version_id == "1"
    assert "Credential=NEW" in upstream.calls[-1].headers["Authorization"]


def test_credentials_that_expired_before_they_came_are_denied(store, monkeypatch):
    def still_expired(_self: Credentials) -> None:
        raise RuntimeError("Credentials were refreshed, but the refreshed credentials are still expired.")

    monkeypatch.setattr(Credentials, "get_frozen_credentials", still_expired)
    with pytest.raises(UpstreamDenied, match="no usable AWS credentials"):
        store.frame(KEY)


@pytest.mark.parametrize("ask", ["frame", "metadata"])
def test_the_deadline_cuts_a_try(store, upstream, ask):
    store.frame(KEY)
    upstream.then(FRAME, Reply(b"late", delay=0.8))
    upstream.then("getImageSetMetadata", Reply(b"{}", delay=0.8))
    call, wanted = {
        "frame": (store.frame, KEY),
        "metadata": (store.metadata, ImageSetRef(STORE, IMAGE_SET)),
    }[ask]
    with pytest.raises(UpstreamTimeout):
        call(wanted, time.monotonic() + 0.2)
    assert len(upstream.calls) == 2


def test_no_try_starts_after_the_deadline(store, upstream):
    with pytest.raises(UpstreamTimeout):
        store.frame(KEY, time.monotonic() - 1)
    assert not upstream.calls


def test_a_body_that_stands_still_ends():
    server = Raw([b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nframe", b""])
    store = HealthImaging(server.url, read_timeout=0.3)
    # the server waits for a second request on the connection that it has not served to the end
    with pytest.raises((UpstreamTimeout, UpstreamFailed)):
        store.frame(KEY, time.monotonic() + 2)
    assert server.requests
    store.close()
    server.close()


@contextmanager
def overtaken(store: HealthImaging, frame_id: str) -> Iterator[Future[bytes]]:
    """What a frame's call gives, after which three others have been answered."""
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(store.frame, FrameKey(STORE, IMAGE_SET, frame_id))
        time.sleep(0.05)
        for _ in range(3):
            store.frame(KEY)
        yield answer


def test_a_straggler_is_asked_a_second_time(store, upstream):
    for _ in range(64):
        store.frame(KEY)
    slow = "a" * 32
    upstream.then(slow, Reply(b"slow", delay=0.9), Reply(b"quick"))
    with overtaken(store, slow) as answer:
        assert answer.result(20) == b"quick"
    counters = store.counters()
    assert (counters["hedges"], counters["calls"]) == (1, 68)
    assert "retries" not in counters


def test_an_error_for_the_second_request_does_not_win(store, upstream):
    for _ in range(64):
        store.frame(KEY)
    slow = "a" * 32
    upstream.then(slow, Reply(b"slow", delay=0.7), error(500, "InternalServerException"))
    with overtaken(store, slow) as answer:
        assert answer.result(20) == b"slow"


def test_a_frame_that_nothing_overtakes_is_asked_once(store, upstream):
    """However long it takes, and however many wait for it."""
    for _ in range(64):
        store.frame(KEY)
    slow = "a" * 32
    upstream.then(slow, Reply(b"slow", delay=0.7))
    assert store.frame(FrameKey(STORE, IMAGE_SET, slow)) == b"slow"
    assert upstream.frame_calls[slow] == 1


def test_the_breaker_opens_and_closes_by_itself(upstream):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        store = HealthImaging(f"http://127.0.0.1:{unused.getsockname()[1]}", connect_timeout=0.5)
        for _ in range(4):
            with suppress(UpstreamFailed, UpstreamUnavailable):
                store.frame(KEY)
        with pytest.raises(UpstreamUnavailable):
            store.frame(KEY)
    assert store.counters()["breaker_opens"] == 1
    store.close()


def test_the_rate_limit_holds_frames_back(upstream):
    store = HealthImaging(upstream.url, limits=RateLimits(frames=0.01))
    store.frame(KEY)
    with pytest.raises(Exception, match="rate limit"):
        store.frame(KEY, time.monotonic() + 0.5)
    assert upstream.frame_calls[FRAME] == 1
    store.close()


def test_gzip_is_passed_on_as_it_came(store, upstream):
    packed = gzip.compress(b"frame")
    upstream.then(FRAME, Reply(packed, headers={"Content-Encoding": "gzip"}))
    assert store.frame(KEY) == packed
    assert upstream.calls[0].headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("odd", ["a/b", "ä ?#%", "x&y=z", "..x"])
def test_odd_ids_stay_in_their_place(store, upstream, odd):
    upstream.then(odd, Reply(b"odd"))
    assert store.frame(FrameKey(odd, odd, odd)) == b"odd"
    assert upstream.calls[0].path.count("/") == 5


def test_closing_leaves_no_descriptor(upstream):
    store = HealthImaging(upstream.url)
    before = set(os.listdir("/proc/self/fd"))
    threads = [threading.Thread(target=store.frame, args=(KEY,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.close()
    kept = {os.readlink(f"/proc/self/fd/{fd}") for fd in _since(before)}
    assert not {name for name in kept if "eventpoll" in name or "eventfd" in name}
    assert store.frame(KEY)
    store.close()


def _since(before: set[str]) -> set[str]:
    return {
        fd for fd in os.listdir("/proc/self/fd") if fd not in before and os.path.exists(f"/proc/self/fd/{fd}")
    }


class Raw:
    """A server of plain sockets: what each connection in turn answers, then it is closed."""

    def __init__(self, *scripts: list[bytes]) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.requests: list[bytes] = []
        self._thread = threading.Thread(target=self._serve, args=(scripts,), daemon=True)
        self._thread.start()

    def _serve(self, scripts) -> None:
        for script in scripts:
            connection, _ = self._listening.accept()
            with connection:
                for answer in script:
                    request = b""
                    while not request.endswith(b"}"):
                        received = connection.recv(65536)
                        if not received:
                            return
                        request += received
                    self.requests.append(request)
                    connection.sendall(answer)

    def close(self) -> None:
        self._thread.join(5)
        self._listening.close()


def test_a_kept_connection_that_was_closed_is_no_failure():
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nframe"
    # the second request gets no answer at all on the kept connection
    server = Raw([whole, b""], [whole])
    store = HealthImaging(server.url)
    assert store.frame(KEY) == b"frame"
    assert store.frame(KEY) == b"frame"
    assert store.counters() == {"calls": 2}
    assert len(server.requests) == 3
    store.close()
    server.close()


@pytest.mark.parametrize(
    "cut",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfra",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nframe\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nframe",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"nonsense\r\n\r\n",
        b"",
    ],
)
def test_a_cut_answer_is_asked_again(cut):
    server = Raw([cut], [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nframe\r\n0\r\n\r\n"])
    store = HealthImaging(server.url)
    assert store.frame(KEY) == b"frame"
    assert store.counters()["retries"] == 1
    store.close()
    server.close()


@pytest.fixture
def tls(upstream, tmp_path) -> str:
    """A TLS front of `upstream` with a certificate of its own; the URL, `cert.pem` lies in `tmp_path`."""
    certificate, key = write_certificate(tmp_path, "localhost", "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = upstream._server
    plain = server.get_request

    def get_request():
        accepted, address = plain()
        return context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False), address

    server.get_request = get_request
    return upstream.url.replace("http://127.0.0.1", "https://localhost")


def test_tls_with_the_bundle_that_the_sdk_was_given(tls, monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "cert.pem"))
    store = HealthImaging(tls)
    assert store.frame(KEY) == b"frame" * 1000
    store.close()


def test_a_certificate_that_nobody_vouches_for_is_refused(tls):
    store = HealthImaging(tls)
    with pytest.raises(UpstreamFailed, match="certificate"):
        store.frame(KEY)
    store.close()


class Proxy:
    """Takes CONNECT only, and notes what for."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.asked: list[str] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                line = client.recv(65536).decode().split("\r\n")[0]
                self.asked.append(line)
                host, port = line.split()[1].rsplit(":", 1)
                behind = socket.create_connection((host, int(port)))
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                for pair in ((client, behind), (behind, client)):
                    threading.Thread(target=self._pump, args=pair, daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


@pytest.mark.parametrize("bypass", [False, True])
def test_through_the_proxy_of_the_environment(tls, monkeypatch, tmp_path, bypass):
    proxy = Proxy()
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "cert.pem"))
    monkeypatch.setenv("https_proxy", proxy.url)
    if bypass:
        monkeypatch.setenv("no_proxy", "localhost")
    store = HealthImaging(tls)
    assert store.frame(KEY) == b"frame" * 1000
    assert len(proxy.asked) == (0 if bypass else 1)
    store.close()
    proxy.close()


def test_the_request_id_is_passed_on_outside_the_signature(store, upstream):
    with following(Timeline("request-12345")):
        store.frame(KEY)
    assert upstream.calls[-1].headers["X-Request-Id"] == "request-12345"
    assert "x-request-id" not in upstream.calls[-1].headers["Authorization"]
    store.frame(KEY)
    assert "X-Request-Id" not in upstream.calls[-1].headers
