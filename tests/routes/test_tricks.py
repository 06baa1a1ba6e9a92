"""Odd addresses and headers lead nowhere: not to other routes, not to other caches, not to other machines."""

import socket
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from tests.routes.archive import CT, HTML, STORE, STUDY, UNNAMED, hex_id, lasting, path_of
from tests.routes.test_app import READABLE

FRAME = f"{path_of(CT, 1)}/frames/1"
TLM = f"/datastore/{STORE}/imageSet/{hex_id('set', CT)}/getImageFrame"

PATHS = [
    "/aetitle/../aetitle/studies",
    "/aetitle/studies/..",
    f"/aetitle/studies/{STUDY}/../{STUDY}/metadata",
    f"/aetitle/studies/%2e%2e/studies/{STUDY}",
    "/%2e%2e/etc/passwd",
    f"/aetitle/studies/{STUDY}/./metadata",
    "/aetitle%2fstudies",
    "/aetitle%2Fstudies",
    f"{path_of(CT, 1)}/frames%2f1",
    f"/aetitle/studies/{STUDY}%2fseries/{CT}/metadata",
    f"/aetitle/studies/{STUDY}%00/metadata",
    "/aetitle/studies%00",
    f"/aetitle\\studies/{STUDY}/metadata",
    f"/aetitle/studies/{STUDY}%5cmetadata",
    "/aetitle/studies;x=1",
    f"/aetitle;/studies/{STUDY}/metadata",
    f"{FRAME};jsessionid=1",
    "/AETITLE/studies",
    "/aetitle/Studies",
    f"/aetitle/studies/{STUDY}/Metadata",
    f"{path_of(CT, 1)}/FRAMES/1",
    f"/DataStore/{STORE}/imageSet/{hex_id('set', CT)}/getImageFrame?imageFrameId=x",
    "/aetitle/studies/1.2.1٠/metadata",
    f"/aetitle/studies/{STUDY}%D9%A1/metadata",
    f"{path_of(CT, 1)}/frames/%D9%A1",
    f"{path_of(CT, 1)}/frames/\uff11",
    f"{path_of(CT, 1)}/frames/1%0d%0aX: y",
    f"{path_of(CT, 1)}/frames/+1",
    f"{path_of(CT, 1)}/frames/1e0",
    f"{path_of(CT, 1)}/frames/0x1",
    f"{path_of(CT, 1)}/frames/1_0",
    "/aetitle/studies/%c0%ae%c0%ae/metadata",
    "/aetitle/%c0%afstudies",
    f"/aetitle/studies/{STUDY}%20/metadata",
    f"/aetitle/studies/{STUDY}%0a/metadata",
    "/aetitle/%73tudies/..%2f..%2fetc",
    "/healthcheck/../aetitle/studies",
    f"{TLM}/../getImageFrame?imageFrameId={hex_id('frame', CT, 1, 1)}",
    f"/datastore/{STORE}/imageSet/{'A' * 32}/getImageFrame?imageFrameId={'b' * 32}",
    f"{TLM}?imageFrameId={hex_id('frame', CT, 1, 1)}&startLevel=%D9%A1",
    f"{TLM}?imageFrameId=../../x",
]


@pytest.fixture(scope="module")
def client(house):
    return house.app.test_client()


@pytest.mark.parametrize("path", PATHS)
def test_odd_paths_are_400_or_404(client, path):
    for more in ({}, {"Accept": "*/*"}):
        assert client.get(path, headers=more).status_code in (400, 404)


@pytest.mark.parametrize("path", [FRAME, "/aetitle/studies", f"/aetitle/studies/{STUDY}/metadata"])
@pytest.mark.parametrize(
    "headers",
    [
        {"X-Original-URL": "/healthcheck"},
        {"X-Rewrite-URL": "/healthcheck"},
        {"X-HTTP-Method-Override": "DELETE"},
        {"X-Method-Override": "OPTIONS"},
        {"X-Forwarded-Host": "evil.example.org"},
        {"X-Forwarded-Proto": "gopher"},
        {"X-Forwarded-Prefix": "/evil"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"Forwarded": "host=evil.example.org;proto=https"},
        {"X-Host": "evil.example.org"},
        {"Host": "127.0.0.1:99"},
        {"X-Forwarded-User": "root"},
        {"Cookie": "a=b"},
        {"User-Agent": "evil"},
        {"Referer": "http://evil.example.org"},
        {"Accept-Language": "xx"},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_what_no_cache_keys_changes_no_answer(client, path, headers):
    """PUBLIC_URL is set: of an untrusted peer not even links follow Host."""
    plain, tricked = client.get(path), client.get(path, headers=headers)
    assert tricked.status_code == plain.status_code == 200
    assert tricked.data == plain.data
    assert lasting(tricked) == lasting(plain)


@pytest.mark.parametrize("path", [*READABLE, "/", "/aetitle", "/aetitle/conformance", "/aetitle/nowhere"])
def test_no_shared_cache_keeps_what_is_of_patients(client, path):
    answer = client.get(path)
    held = answer.headers.get("Cache-Control", "")
    assert "no-store" in held or "no-cache" in held or "private" in held
    assert "public" not in held
    assert "Origin" in answer.vary


@pytest.mark.parametrize(
    "path", [*READABLE, "/", "/aetitle/conformance", "/aetitle/nowhere", "/aetitle/studies/x"]
)
def test_no_browser_takes_an_answer_for_more_than_it_is(client, path):
    answer = client.get(path)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    # forms of our own pages tell us, and nobody else, where they stand
    assert answer.headers["Referrer-Policy"] == ("same-origin" if path == "/" else "no-referrer")
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert "Server" not in answer.headers
    if answer.mimetype == "text/html":
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize("suffix", ["rendered", "bulkdata/00420011"])
def test_documents_out_of_files_are_of_no_origin(client, suffix):
    answer = client.get(f"{path_of(HTML, 1)}/{suffix}", headers={"Accept": "text/html"})
    assert answer.status_code == 200
    assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


CRLF = "%0d%0aSet-Cookie:%20a=b"


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (f"/aetitle/studies?Unknown{CRLF}=1", {}),
        (f"/aetitle/studies?PatientName={CRLF}", {}),
        (f"/aetitle/studies?includefield={CRLF}", {}),
        (f"/aetitle/studies?orderby={CRLF}", {}),
        (f"/aetitle/studies?limit=1&fuzzymatching={CRLF}", {}),
        (f"/aetitle/studies/1.2{CRLF}/metadata", {}),
        (f"{FRAME}{CRLF}", {}),
        (f"{FRAME}?accept={CRLF}", {}),
        (f"{path_of(CT, 1)}/rendered?window={CRLF}", {}),
        (f"{path_of(CT, 1)}/rendered?annotation={CRLF}", {}),
        (f"{path_of(UNNAMED, 1)}/rendered", {}),
        (f"{path_of(UNNAMED, 1)}/bulkdata/00420011", {}),
        (f"{path_of(CT, 1)}/bulkdata/00091001{CRLF}", {}),
        (f"{TLM}?imageFrameId={CRLF}", {}),
        (f"{TLM}?imageFrameId={hex_id('frame', CT, 1, 1)}&startLevel={CRLF}", {}),
        (f"/nowhere{CRLF}", {}),
        ("/aetitle/studies", {"Origin": "http://localhost\x0bX: y"}),
    ],
)
def test_no_value_adds_a_header(client, path, headers):
    answer = client.get(path, headers=headers)
    assert "Set-Cookie" not in answer.headers
    assert not [1 for name, value in answer.headers if set("\r\n\0") & set(name + value)]


@pytest.fixture
def trap():
    """A server that nobody must ask; whether somebody did, who then waits at its door."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        door.setblocking(False)

        def was_asked():
            with suppress(BlockingIOError):
                door.accept()[0].close()
                return True
            return False

        yield f"http://127.0.0.1:{door.getsockname()[1]}/x", was_asked


def test_the_trap_shuts(trap):
    url, was_asked = trap
    assert not was_asked()
    socket.create_connection(("127.0.0.1", urlsplit(url).port)).close()
    assert was_asked()


@pytest.mark.parametrize(
    "path",
    [
        "/aetitle/studies?url={0}",
        "/aetitle/studies?RetrieveURL={0}",
        "/aetitle/studies?00081190={0}",
        "/aetitle/studies/{0}/metadata",
        f"{FRAME}?transfer-syntax={{0}}",
        f"{path_of(CT, 1)}/bulkdata/{{0}}",
        f"{path_of(CT, 1)}/rendered?iccprofile={{0}}",
        f"{path_of(CT, 1)}/rendered?annotation={{0}}&presentationUID={{0}}",
        f"{TLM}?imageFrameId={{0}}",
        "/datastore/{0}/imageSet/x/getImageFrame",
        "{0}",
    ],
)
def test_no_parameter_makes_the_server_ask_anybody(client, trap, path):
    url, was_asked = trap
    for headers in (
        {},
        {"Referer": url, "Origin": url, "X-Forwarded-Host": url[7:-2], "Forwarded": f"host={url[7:-2]}"},
        {"Host": url[7:-2], "token": url, "Authorization": f"Bearer {url}", "X-Original-URL": url},
    ):
        client.get(path.format(url), headers=headers)
    assert not was_asked()
