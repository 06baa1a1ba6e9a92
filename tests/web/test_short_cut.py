"""The short way past Flask answers what the long way answers."""

import logging

import pytest
from flask import Flask, Request, Response
from werkzeug.test import EnvironBuilder

from dicomweb_gateway.web.requests import plain_arguments
from dicomweb_gateway.web.short_cut import Guards, with_short_cuts
from tests.routes.archive import BOXED, CT, build, path_of

OHIF = "multipart/related; type=application/octet-stream; transfer-syntax=*"
FRAME = f"{path_of(CT, 1)}/frames/1"


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    return build(tmp_path_factory.mktemp("short"))


def told(answer):
    """All but what each request has of its own: its name, and the time that it took."""
    assert answer.headers.pop("X-Request-Id")
    assert (answer.headers.pop("Server-Timing", None) is not None) == (answer.status_code < 400)
    return answer.status, sorted(answer.headers), answer.data


def described(client, path, headers):
    return told(client.get(path, headers=headers))


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (FRAME, {"Accept": OHIF}),
        (FRAME, {}),
        (f"{path_of(BOXED, 1)}/frames/1", {"Accept": OHIF}),
        (FRAME, {"Accept": "application/octet-stream"}),
        (FRAME, {"Accept": "text/plain"}),
        (FRAME, {"Accept": OHIF, "Range": "bytes=10-99"}),
        (FRAME, {"Accept": OHIF, "Range": "bytes=99999999-"}),
        (FRAME, {"Accept": OHIF, "If-None-Match": "*"}),
        (FRAME, {"Accept": OHIF, "If-Modified-Since": "Fri, 31 Dec 2100 23:59:59 GMT"}),
        (FRAME, {"Accept": OHIF, "Origin": "http://localhost:3000"}),
        (FRAME, {"Accept": OHIF, "Origin": "https://evil.example.org"}),
        (FRAME, {"Host": "evil.example.org", "Origin": "http://localhost"}),
        (FRAME, {"Host": "a..b"}),
        (f"/{FRAME}", {"Accept": OHIF}),
        (FRAME.replace("frames/1", "frames/99"), {}),
        (FRAME.replace("frames/1", "frames/0"), {}),
        (FRAME.replace("frames/1", "frames/1,1"), {}),
        (FRAME.replace("/instances/", "/instances/9."), {}),
        (FRAME.replace("/instances/", "/instances/9"), {}),
        ("/healthcheck", {}),
        ("/healthcheck", {"Host": "evil.example.org"}),
    ],
)
def test_both_ways_are_one(house, path, headers):
    """A parameter that means nothing leads the long way."""
    client = house.app.test_client()
    short = described(client, path, headers)
    assert short == described(client, f"{path}?unused=1", headers)


LEVELS = "/datastore/{}/imageSet/{}/getImageFrame?startLevel=0&endLevel={}"


@pytest.mark.parametrize(
    ("level", "body", "headers"),
    [
        ("0", None, {}),
        ("7", None, {"Range": "bytes=0-5"}),
        ("x", None, {}),
        ("0", b"", {}),
        ("0", b"no json", {"Origin": "http://localhost"}),
        ("0", b'{"imageFrameId": "%s"}' % (b"0" * 32), {}),
        ("0", b" " * (1 << 21), {}),
        ("0", None, {"Host": "evil.example.org"}),
    ],
)
def test_both_ways_are_one_for_levels_too(house, monkeypatch, level, body, headers):
    key = house.key(CT)
    path = LEVELS.format(key.datastore_id, key.image_set_id, level)
    body = b'{"imageFrameId": "%s"}' % key.frame_id.encode() if body is None else body

    def asked():
        return told(house.app.test_client().post(path, data=body, headers=headers))

    short = asked()
    monkeypatch.setattr("dicomweb_gateway.web.short_cut._find", lambda *_: None)
    assert short == asked()


def test_it_is_taken_and_logged_by_the_rule(house, monkeypatch, caplog):
    monkeypatch.setattr(house.app, "preprocess_request", lambda: pytest.fail("the long way"))
    with caplog.at_level(logging.INFO, "dicomweb_gateway.web.observed"):
        assert house.app.test_client().get(FRAME, headers={"Accept": OHIF}).status_code == 200
    (line,) = [record.getMessage() for record in caplog.records if record.name.endswith("observed")]
    assert line.startswith(
        "GET /aetitle/studies/<study>/series/<series>/instances/<instance>/frames/<frames> 2"
    )


def test_a_fault_is_500_without_its_text(house, monkeypatch):
    def broken(*_):
        raise RuntimeError("of a patient")

    monkeypatch.setattr(type(house.services.archive.index), "instance", broken)
    client = house.app.test_client()
    answers = [client.get(FRAME), client.get(f"{FRAME}?unused=1")]
    assert [answer.status_code for answer in answers] == [500, 500]
    assert answers[0].data == answers[1].data
    assert b"patient" not in answers[0].data


def test_who_guards_otherwise_too_is_not_passed_by(tmp_path):
    """A function that somebody has Flask call before requests must see all of them."""
    app = build(tmp_path).app

    @app.before_request
    def refuse():
        return Response("no", status=401)

    client = app.test_client()
    assert client.get(FRAME).status_code == client.get("/healthcheck").status_code == 401


def test_nothing_is_short_below_a_prefix():
    app = Flask("bare")
    guards = Guards(lambda _: None, lambda *_: Response(status=500), lambda *_: None)
    app.wsgi_app = with_short_cuts(app, [], guards)
    assert app.test_client().get("/healthcheck").status_code == 404


@pytest.mark.parametrize(
    "query",
    ["startLevel=0&endLevel=0", "&startLevel=&&=1&endLevel", "startLevel=%30", "endLevel=+0", "endLevel=é"],
)
def test_a_query_is_read_as_flask_reads_it(query):
    environ = EnvironBuilder("/", query_string=query).get_environ()
    environ["QUERY_STRING"] = query.encode().decode("latin1")
    own, flask = Request(environ), Request(environ)
    assert plain_arguments(own) == flask.args
    assert own.args == flask.args
