"""Bodies of requests that store: in a file without a name, within limits, gone when they are over."""

import errno
import os

import pytest
from waitress.adjustments import Adjustments

from dicomweb_gateway.service.body_file import BodyFile
from dicomweb_gateway.service.generation import server_limits
from dicomweb_gateway.service.heads import RequestParser
from dicomweb_gateway.service.server_limits import ServerLimits
from dicomweb_gateway.settings import load_settings


def test_what_was_appended_is_read(tmp_path):
    body = BodyFile(tmp_path / "spool", 0)
    for data in (b"one", b"", b"two" * 1000):
        body.append(data)
    assert len(body) == 3003
    assert body.getfile().read() == b"one" + b"two" * 1000
    assert list((tmp_path / "spool").iterdir()) == []
    body.close()
    body.close()
    assert body.failure == ""


def test_an_empty_body_needs_no_file(tmp_path):
    body = BodyFile(tmp_path / "spool", 0)
    assert body.getfile().read() == b""
    assert not (tmp_path / "spool").exists()


def test_a_disk_with_too_little_room(tmp_path):
    body = BodyFile(tmp_path, 1 << 60)
    body.append(b"one")
    assert os.strerror(errno.ENOSPC) in body.failure
    body.append(b"two")
    assert len(body) == 0


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    body = BodyFile(tmp_path / "file", 0)
    body.append(b"one")
    assert "disk" in body.failure


@pytest.fixture
def limits(tmp_path) -> ServerLimits:
    return ServerLimits(store_paths=("/aetitle", "/b"), store_bytes=1000, body_folder=tmp_path)


@pytest.mark.parametrize(
    ("method", "path", "stores"),
    [
        ("POST", "/aetitle/studies", True),
        ("POST", "//aetitle//studies/", True),
        ("POST", "/b/studies/1.2.3", True),
        ("GET", "/aetitle/studies", False),
        ("POST", "/other/studies", False),
        ("POST", "/aetitle/studies/1.2/series", False),
        ("POST", "/aetitle/studies/%2e%2e", False),
    ],
)
def test_which_requests_may_be_long(limits, method, path, stores):
    assert limits.is_store(method, path) == stores
    assert not ServerLimits().is_store(method, path)


def parsed(limits: ServerLimits, head: str, body: bytes = b"") -> RequestParser:
    parser = RequestParser(Adjustments(max_request_body_size=101), None, limits)
    data = f"{head}\r\nHost: h\r\n\r\n".encode() + body
    while data and not parser.completed:
        data = data[parser.received(data) :]
    return parser


def test_the_body_of_a_request_that_stores(limits):
    parser = parsed(limits, "POST /b/studies HTTP/1.1\r\nContent-Length: 900", bytes(900))
    assert parser.error is None
    assert len(parser.get_body_stream().read()) == 900
    parser.close()
    chunked = b"384\r\n" + bytes(900) + b"\r\n0\r\n\r\n"
    parser = parsed(limits, "POST /b/studies HTTP/1.1\r\nTransfer-Encoding: chunked", chunked)
    assert parser.error is None
    assert parser.headers["CONTENT_LENGTH"] == "900"
    parser.close()


@pytest.mark.parametrize(
    ("line", "length", "code"),
    [
        ("POST /b/studies HTTP/1.1", 1001, 413),
        ("POST /b/series HTTP/1.1", 102, 413),
        ("PUT /b/studies HTTP/1.1", 102, 413),
    ],
)
def test_bodies_that_are_too_long(limits, line, length, code):
    parser = parsed(limits, f"{line}\r\nContent-Length: {length}")
    assert parser.error.code == code
    parser.close()


def test_no_body_is_read_of_who_has_no_login(tmp_path):
    limits = ServerLimits(store_paths=("/b",), body_folder=tmp_path, store_credentials=("AUTHORIZATION",))
    head = "POST /b/studies{} HTTP/1.1\r\nContent-Length: 900{}"
    for query, header, code in (
        ("", "", 401),
        ("", "\r\nX-Authorization: x", 401),
        ("", "\r\nAuthorization: Bearer x", None),
        ("?token=x", "", None),
    ):
        parser = parsed(limits, head.format(query, header), bytes(900))
        assert getattr(parser.error, "code", None) == code, (query, header)
        parser.close()


def test_a_page_that_stores_by_its_session_is_read(tmp_path):
    settings = load_settings({"DATA_DIR": str(tmp_path), "AUTH_MODE": "basic"})
    parser = parsed(
        server_limits(settings),
        "POST /aetitle/studies HTTP/1.1\r\nContent-Length: 900\r\nX-CSRF-Token: x",
        bytes(900),
    )
    assert parser.error is None
    parser.close()


def test_a_full_disk_is_told(tmp_path):
    limits = ServerLimits(store_paths=("/b",), body_folder=tmp_path, min_free_bytes=1 << 60)
    parser = parsed(limits, "POST /b/studies HTTP/1.1\r\nContent-Length: 900", bytes(100))
    assert (parser.error.code, parser.completed) == (507, True)
    parser.close()
