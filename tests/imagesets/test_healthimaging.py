import gzip
import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime

import orjson
import pytest

from dicomweb_gateway.errors import (
    UpstreamBusy,
    UpstreamDenied,
    UpstreamFailed,
    UpstreamNotFound,
    UpstreamThrottled,
    UpstreamTimeout,
)
from dicomweb_gateway.imagesets.aws_client import ClientSettings, make_client
from dicomweb_gateway.imagesets.aws_errors import BodyCut
from dicomweb_gateway.imagesets.healthimaging import HealthImaging, gunzip
from dicomweb_gateway.imagesets.store import FrameKey, ImageSetRef
from tests.frames.upstream import Reply, Upstream, error, json

STORE, IMAGE_SET, FRAME = "d" * 32, "1" * 32, "f" * 32
KEY = FrameKey(STORE, IMAGE_SET, FRAME)
REF = ImageSetRef(STORE, IMAGE_SET, "3")
DOCUMENT = b'{"SchemaVersion": "1.1"}'


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.startswith("AWS_") and name != "AWS_CA_BUNDLE":
            monkeypatch.delenv(name)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    server = Upstream()
    yield server
    server.close()


@pytest.fixture
def store(upstream: Upstream) -> HealthImaging:
    return HealthImaging(upstream.url, read_timeout=0.5, connect_timeout=0.5, busy_seconds=1)


def test_a_frame_comes_byte_for_byte(store, upstream):
    upstream.frames[FRAME] = bytes(range(256)) * 300
    assert store.frame(KEY) == upstream.frames[FRAME]
    (call,) = upstream.calls
    assert call.path == f"/datastore/{STORE}/imageSet/{IMAGE_SET}/getImageFrame"
    assert orjson.loads(call.body) == {"imageFrameId": FRAME}
    assert "Credential=" in call.headers["Authorization"]


@pytest.mark.parametrize(
    ("reply", "kind", "calls"),
    [
        (error(404, "ResourceNotFoundException"), UpstreamNotFound, 1),
        (error(403, "AccessDeniedException"), UpstreamDenied, 1),
        (error(400, "ValidationException"), UpstreamFailed, 1),
        (error(406, "NotAcceptableException"), UpstreamFailed, 1),
        (error(500, "InternalServerException"), UpstreamFailed, 3),
        (error(503, "ServiceUnavailable"), UpstreamFailed, 3),
        (Reply(b"<html>", 502), UpstreamFailed, 3),
        (Reply(b"x" * 1000, sent=10), UpstreamFailed, 3),
        (Reply(b""), UpstreamFailed, 3),
        (Reply(b"late", delay=1.5), UpstreamTimeout, 3),
    ],
    ids=["404", "403", "400", "406", "500", "503", "html", "cut", "empty", "late"],
)
def test_every_failure_has_its_error(store, upstream, reply, kind, calls):
    upstream.then(FRAME, reply)
    with pytest.raises(kind) as caught:
        store.frame(KEY)
    assert upstream.frame_calls[FRAME] == calls
    assert "JONES" not in str(caught.value)


def test_throttling_says_when_to_come_back(store, upstream):
    upstream.then(FRAME, error(429, "ThrottlingException", **{"Retry-After": "7"}))
    with pytest.raises(UpstreamThrottled) as caught:
        store.frame(KEY)
    assert caught.value.retry_after == 7
    # the one who asks may come back in time; nobody is kept waiting that long
    assert upstream.frame_calls[FRAME] == 1


@pytest.mark.parametrize(
    "trouble",
    [
        error(500, "InternalServerException"),
        error(429, "ThrottlingException"),
        error(409, "ConflictException"),
        Reply(b"x" * 1000, sent=10),
        Reply(b""),
    ],
    ids=["500", "429", "409", "cut", "empty"],
)
def test_passing_trouble_is_not_seen(upstream, trouble):
    store = HealthImaging(upstream.url, busy_seconds=10)
    upstream.then(FRAME, trouble, Reply(b"frame"))
    assert store.frame(KEY) == b"frame"


def test_still_processing_is_waited_out_only_so_long(store, upstream):
    upstream.then("getImageSetMetadata", error(409, "ConflictException"))
    with pytest.raises(UpstreamBusy) as caught:
        store.metadata(REF)
    assert caught.value.retry_after
    # the SDK alone would have asked once; how often fits into the second depends on the machine
    assert len(upstream.calls) >= 2


def test_nobody_listens():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        store = HealthImaging(f"http://127.0.0.1:{unused.getsockname()[1]}", connect_timeout=0.5)
        with pytest.raises(UpstreamFailed):
            store.frame(KEY)
        with pytest.raises(UpstreamFailed):
            store.ping()


@pytest.mark.parametrize(
    "body",
    [gzip.compress(DOCUMENT), DOCUMENT, gzip.compress(DOCUMENT[:9]) + gzip.compress(DOCUMENT[9:])],
    ids=["gzip", "plain", "two members"],
)
@pytest.mark.parametrize("header", [{}, {"Content-Encoding": "gzip"}])
def test_metadata_is_unpacked_by_its_bytes_not_by_its_header(store, upstream, body, header):
    upstream.then("getImageSetMetadata", Reply(body, headers=header))
    assert store.metadata(REF) == DOCUMENT
    assert upstream.calls[0].path.endswith("/getImageSetMetadata?version=3")


def test_the_latest_version_is_asked_for_without_a_number(store, upstream):
    upstream.then("getImageSetMetadata", Reply(DOCUMENT))
    store.metadata(ImageSetRef(STORE, IMAGE_SET))
    assert upstream.calls[0].path.endswith("/getImageSetMetadata")


@pytest.mark.parametrize(
    ("blob", "kind"),
    [
        (gzip.compress(bytes(2000)), UpstreamFailed),
        (gzip.compress(bytes(600)) * 2, UpstreamFailed),
        (gzip.compress(DOCUMENT)[:-6], BodyCut),
        (gzip.compress(DOCUMENT)[:12] + b"\xff" * 30, UpstreamFailed),
        (b"", BodyCut),
        (gzip.compress(b""), BodyCut),
    ],
    ids=["bomb", "bomb in parts", "short", "corrupt", "nothing", "gzip of nothing"],
)
def test_gunzip_refuses(blob, kind):
    with pytest.raises(kind):
        gunzip(blob, limit=1000)


def test_gunzip_takes_exactly_the_limit():
    assert gunzip(gzip.compress(bytes(1000)), limit=1000) == bytes(1000)


def test_search_pages_and_tolerates_nulls(store, upstream):
    tags = {"DICOMStudyInstanceUID": "1.2", "DICOMSeriesInstanceUID": None}
    full = {"imageSetId": "a", "version": 2, "updatedAt": 1.7e9, "isPrimary": False, "DICOMTags": tags}
    bare = {"imageSetId": "b", "version": None, "updatedAt": None, "isPrimary": None, "DICOMTags": None}
    upstream.then(
        "searchImageSets",
        json({"imageSetsMetadataSummaries": [full], "nextToken": "go on"}),
        json({"imageSetsMetadataSummaries": [bare], "nextToken": None}),
    )
    since = datetime(2024, 5, 1, tzinfo=UTC)
    first, second = store.search(STORE, since)
    assert (first.image_set_id, first.version, first.is_primary) == ("a", 2, False)
    assert (first.study_uid, first.series_uid) == ("1.2", None)
    assert first.updated_at == datetime.fromtimestamp(1.7e9, UTC)
    assert (second.version, second.updated_at, second.is_primary, second.study_uid) == (1, None, None, None)
    criteria = orjson.loads(upstream.calls[0].body)
    (condition,) = criteria["filters"]
    assert condition["operator"] == "BETWEEN"
    assert condition["values"][0] == {"updatedAt": since.timestamp()}
    assert criteria["sort"] == {"sortField": "updatedAt", "sortOrder": "ASC"}
    assert "nextToken=go%20on" in upstream.calls[1].path


def test_search_without_a_date_has_no_filter(store, upstream):
    upstream.then("searchImageSets", json({"imageSetsMetadataSummaries": []}))
    assert list(store.search(STORE)) == []
    assert "filters" not in orjson.loads(upstream.calls[0].body)


def test_properties_and_data_stores(store, upstream):
    found = {"datastoreId": STORE, "imageSetId": IMAGE_SET, "versionId": "4", "imageSetState": "ACTIVE"}
    upstream.then("getImageSet", json({**found, "updatedAt": 1.7e9, "isPrimary": True}))
    upstream.then("datastore", json({"datastoreSummaries": [{"datastoreId": STORE}], "nextToken": None}))
    properties = store.image_set(ImageSetRef(STORE, IMAGE_SET))
    assert properties.ref == ImageSetRef(STORE, IMAGE_SET, "4")
    assert (properties.state, properties.is_primary) == ("ACTIVE", True)
    assert store.data_store_ids() == [STORE]
    assert "datastoreStatus=ACTIVE" in upstream.calls[1].path
    store.ping()


def test_an_id_that_fits_no_request_is_unknown(store):
    with pytest.raises(UpstreamNotFound):
        store.frame(FrameKey(STORE, IMAGE_SET, ""))


@pytest.mark.parametrize(
    ("endpoint", "host"),
    [
        ("http://127.0.0.1:1234", "127.0.0.1:1234"),
        ("https://vpce.example.com", "vpce.example.com"),
        (None, "runtime-medical-imaging.eu-west-1.amazonaws.com"),
    ],
)
def test_the_runtime_prefix_is_for_aws_only(endpoint, host, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    client = make_client(ClientSettings(endpoint, "eu-west-1"))
    asked = []

    class Asked(Exception):
        """The request as it would be sent."""

    def stop(request, **_):
        asked.append(request.url)
        raise Asked

    client.meta.events.register("before-send", stop)
    with pytest.raises(Asked):
        client.get_image_set(datastoreId=STORE, imageSetId=IMAGE_SET)
    assert asked[0].split("/")[2] == host
    client.close()


@pytest.mark.parametrize(
    ("environment", "endpoint", "said"),
    [
        ({}, "http://127.0.0.1:1", "none (emulator endpoint)"),
        ({}, None, "none"),
        ({"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "hidden"}, None, "environment"),
    ],
)
def test_where_credentials_come_from(monkeypatch, environment, endpoint, said):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert HealthImaging(endpoint).credentials_source() == said


def test_credentials_from_a_file(monkeypatch, tmp_path):
    file = tmp_path / "credentials"
    file.write_text("[default]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = hidden\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    assert HealthImaging().credentials_source() == "shared credentials file"


def test_no_credentials_for_aws_is_said_as_denied():
    with pytest.raises(UpstreamDenied):
        HealthImaging(region="eu-west-1").frame(KEY)
