"""Documents of an identity provider over TLS, through a proxy, and from addresses that are no good."""

import socket
import ssl
import threading
from contextlib import suppress

import pytest

from dicomweb_gateway.access.fetching import DocumentFetcher, FetchError
from dicomweb_gateway.access.urls import is_safe_url
from tests.access.provider import Provider
from tests.certificates import write_certificate


@pytest.mark.parametrize(("address", "taken"), [("127.0.0.1", True), ("127.0.0.2", False)])
def test_certificates_are_checked(tmp_path, address, taken):
    pem, key = write_certificate(tmp_path, address)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    provider = Provider()

    def answer(connection, peer):
        # in each connection's own thread, where what a client refuses ends nothing else
        with suppress(OSError), context.wrap_socket(connection, server_side=True) as safe:
            provider.server.RequestHandlerClass(safe, peer, provider.server)

    provider.server.finish_request = answer
    url = f"https://127.0.0.1:{provider.server.server_port}/realm/keys"
    try:
        with pytest.raises(FetchError, match="does not answer"):
            DocumentFetcher().get(url)
        if taken:
            assert DocumentFetcher(pem).get(url) == {"keys": provider.keys}
        else:
            with pytest.raises(FetchError, match="does not answer"):
                DocumentFetcher(pem).get(url)
    finally:
        provider.close()


def test_elsewhere_is_asked_through_the_proxy_of_the_environment(monkeypatch):
    lines = []
    with socket.create_server(("127.0.0.1", 0)) as door:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{door.getsockname()[1]}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)

        def refuse():
            connection, _ = door.accept()
            with connection:
                lines.append(connection.recv(4096).partition(b"\r\n")[0])
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

        proxy = threading.Thread(target=refuse)
        proxy.start()
        with pytest.raises(FetchError):
            DocumentFetcher().get("https://idp.example.org/keys")
        proxy.join()
    assert [line.split()[:2] for line in lines] == [[b"CONNECT", b"idp.example.org:443"]]


def test_this_machine_is_asked_without_a_proxy(provider, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert DocumentFetcher().get(f"{provider.issuer}/keys") == {"keys": provider.keys}


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://idp.example.org/x", True),
        ("https://idp.example.org:8443", True),
        ("http://127.0.0.1:8080/x", True),
        ("http://[::1]/x", True),
        ("http://localhost/x", True),
        ("http://idp.example.org/x", False),
        ("http://localhost.evil.org/x", False),
        ("http://127.0.0.1.evil.org/x", False),
        ("http://127.0.0.1@evil.org/x", False),
        ("https://user:secret@idp.example.org/", False),
        ("http://169.254.169.254/latest/meta-data", False),
        ("http://0x7f.1/x", False),
        ("https:///x", False),
        ("https://idp:port/", False),
        ("https://[::1", False),
        ("file:///etc/passwd", False),
        ("//idp.example.org", False),
        ("", False),
    ],
)
def test_addresses(url, safe):
    assert is_safe_url(url) is safe
    if not safe:
        with pytest.raises(FetchError) as refused:
            DocumentFetcher().get(url)
        assert "secret" not in str(refused.value)
