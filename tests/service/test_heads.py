"""Heads that are remembered say what waitress reads and writes."""

import io

import pytest
from waitress.adjustments import Adjustments
from waitress.parser import HTTPRequestParser

from dicomweb_gateway.service.heads import RequestParser, environ_of, remember_environ, response_head

ADJUSTMENTS = Adjustments()
LINES = b"Host: a\r\nAccept: x;q=1, y\r\nX-Two: 1\r\nX-Two: 2\r\n\r\n"


def parsed(parser, request):
    assert parser.received(request) == len(request)
    names = ("command", "version", "path", "query", "fragment", "request_uri", "headers", "url_scheme")
    names += ("proxy_scheme", "proxy_netloc", "connection_close", "completed", "error", "chunked")
    names += ("content_length", "expect_continue", "first_line")
    return {name: getattr(parser, name, None) for name in names}


@pytest.mark.parametrize(
    "line",
    [
        b"GET / HTTP/1.1",
        b"GET /a/b,1/~c HTTP/1.1",
        b"HEAD /a?x=%41&y=a:b HTTP/1.1",
        b"GET /a? HTTP/1.1",
        b"GET /a?b?c=[1] HTTP/1.1",
        b"GET /%41%2f HTTP/1.1",
        b"GET //a/b HTTP/1.1",
        b"GET /a#b HTTP/1.1",
        b"GET http://A:80/a HTTP/1.1",
        b"GET /a HTTP/1.0",
        b"POST /a HTTP/1.1",
    ],
)
@pytest.mark.parametrize(
    "lines",
    [
        LINES,
        b"Host: a\r\nConnection: close\r\n\r\n",
        b"Host: a\r\nConnection: Keep-Alive\r\n\r\n",
        b"Host: a\r\nContent-Length: 0\r\n\r\n",
        b"Host: a\r\nExpect: 100-continue\r\n\r\n",
        b"\r\n",
    ],
)
def test_the_same_lines_again_are_the_same_request(line, lines):
    first = RequestParser(ADJUSTMENTS, None)
    parsed(first, b"GET /before HTTP/1.1\r\n" + lines)
    again = RequestParser(ADJUSTMENTS, first.head)
    request = line + b"\r\n" + lines
    assert parsed(again, request) == parsed(HTTPRequestParser(ADJUSTMENTS), request)


@pytest.mark.parametrize(
    "change", [(b"X-Two: 2", b"X-Two: 3"), (b"Host: a", b"Host: b"), (b"\r\nX", b"\r\nY")]
)
def test_other_lines_are_read_anew(change):
    first = RequestParser(ADJUSTMENTS, None)
    parsed(first, b"GET / HTTP/1.1\r\n" + LINES)
    request = b"GET / HTTP/1.1\r\n" + LINES.replace(*change)
    other = RequestParser(ADJUSTMENTS, first.head)
    assert parsed(other, request) == parsed(HTTPRequestParser(ADJUSTMENTS), request)
    assert other.head is not first.head


def test_a_request_with_a_body_or_a_fault_is_not_remembered():
    for lines in (b"Content-Length: 3\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n", b"no header\r\n\r\n"):
        parser = RequestParser(ADJUSTMENTS, None)
        parser.received(b"GET / HTTP/1.1\r\n" + lines)
        assert parser.head is None


def test_what_is_remembered_of_one_request_is_not_changed_by_another():
    first = RequestParser(ADJUSTMENTS, None)
    parsed(first, b"GET /a HTTP/1.1\r\n" + LINES)
    remember_environ(first, {"PATH_INFO": "/a", "HTTP_HOST": "a", "wsgi.input": io.BytesIO()})
    second = RequestParser(ADJUSTMENTS, first.head)
    parsed(second, b"HEAD /b?c HTTP/1.1\r\n" + LINES)
    environ = environ_of(second)
    assert environ is not None
    asked = [
        environ[name] for name in ("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "REQUEST_URI", "HTTP_HOST")
    ]
    assert asked == ["HEAD", "/b", "c", "/b?c", "a"]
    environ["HTTP_HOST"] = second.headers["HOST"] = "changed"
    third = RequestParser(ADJUSTMENTS, second.head)
    parsed(third, b"GET /a HTTP/1.1\r\n" + LINES)
    assert third.headers["HOST"] == "a"
    assert (environ_of(third) or {})["HTTP_HOST"] == "a"


def test_the_head_of_an_answer():
    head = response_head("200 OK", [("content-length", "3"), ("etag", '"x"'), ("Date", "today")])
    assert head == b'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nEtag: "x"\r\nDate: today\r\n\r\n'
    dated = response_head("200 OK", [("Content-Length", "3")])
    assert dated is not None
    assert dated.startswith(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nDate: ")
    assert dated.endswith(b" GMT\r\n\r\n")


@pytest.mark.parametrize(
    "headers",
    [[], [("Content-Length", "1"), ("Connection", "close")], [("Content-Length", "1"), ("Server", "x")]],
)
def test_where_the_connection_is_at_stake_waitress_writes(headers):
    assert response_head("200 OK", headers) is None


def test_nothing_that_an_application_notes_outlives_its_request():
    """Caller, rights and tokens are noted in the environment."""
    first = RequestParser(ADJUSTMENTS, None)
    parsed(first, b"GET /a HTTP/1.1\r\n" + LINES)
    made = {"HTTP_HOST": "a", "wsgi.input": io.BytesIO()}
    remember_environ(first, made)
    head = first.head
    for noted in ("caller", "sight", "tokens"):
        made[noted] = "of the request before"
        # a paused answer is taken up with what the application has made of its environment
        remember_environ(first, made)
        following = RequestParser(ADJUSTMENTS, head)
        parsed(following, b"GET /b HTTP/1.1\r\n" + LINES)
        made = environ_of(following)
        assert made is not None
        assert set(made) == {
            "HTTP_HOST",
            "wsgi.input",
            "REQUEST_METHOD",
            "PATH_INFO",
            "REQUEST_URI",
            "QUERY_STRING",
        }
