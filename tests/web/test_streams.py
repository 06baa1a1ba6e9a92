"""Long answers under way are counted and bounded (M-8)."""

import pytest
from flask import Flask, Response, request

from dicomweb_gateway.web.streams import LONG, Streams


@pytest.fixture
def streams():
    return Streams(2)


@pytest.fixture(autouse=True)
def asked():
    with Flask("test").test_request_context("/"):
        yield


class Body:
    def __init__(self):
        self.closed = False

    def __iter__(self):
        yield b"piece"

    def close(self):
        self.closed = True


def begin(streams, body=None, length=None):
    response = Response(body or Body(), direct_passthrough=True)
    if length is not None:
        response.headers["Content-Length"] = str(length)
    return streams.admitted(request, response)


def test_one_too_many_is_a_503_until_another_ends(streams):
    first, second = begin(streams), begin(streams, length=LONG + 1)
    body = Body()
    refused = begin(streams, body)
    assert (first.status_code, second.status_code, refused.status_code) == (200, 200, 503)
    assert refused.headers["Retry-After"]
    assert body.closed
    first.response.close()
    first.response.close()
    assert [begin(streams).status_code for _ in range(2)] == [200, 503]


def test_short_answers_and_files_are_not_counted(streams):
    begin(streams)
    begin(streams)
    assert begin(streams, length=LONG).status_code == 200
    assert streams.admitted(request, Response(b"at hand" * LONG)).status_code == 200

    class Wrapper(Body):
        pass

    request.environ["wsgi.file_wrapper"] = Wrapper
    assert begin(streams, Wrapper(), LONG + 1).status_code == 200


def test_the_pieces_come_through(streams):
    assert list(begin(streams).response) == [b"piece"]
