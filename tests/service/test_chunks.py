"""Bodies in chunks: read as they are cut, and what stands between the chunks is bounded."""

import io

import pytest
from waitress.buffers import OverflowableBuffer

from dicomweb_gateway.service.chunks import Chunks

MOST = 100_000
WHOLE = b'5;name=value\r\nhello\r\n00a;a;b="c"\r\n, you all \r\n0\r\nX-A: b\r\nX-C:\r\n\r\n'


def chunks():
    return Chunks(OverflowableBuffer(1 << 20), MOST)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_however_it_is_cut_it_is_the_same_body(size):
    receiver, taken = chunks(), 0
    sent = io.BytesIO(WHOLE + b"GET /next HTTP/1.1")
    while not receiver.completed:
        taken += receiver.received(sent.read(size))
    assert receiver.getfile().read() == b"hello, you all "
    assert (taken, receiver.error) == (len(WHOLE), None)
    assert receiver.received(b"more") == 0


@pytest.mark.parametrize(
    ("status", "sent"),
    [
        (431, b"5;" + b"a" * 9000),
        (431, b"0" * 9000),
        (431, b"0\r\nX-A: " + b"a" * 9000),
        (431, b"0\r\n" + b"X-A: b\r\n" * 20_000),
        (413, b"186a1\r\nx"),
        (413, b"ffffffffffffffffffff\r\nx"),
        (400, b"5\nhello\n0\n\n"),
        (400, b"5;a\nb\r\nhello\r\n"),
        (400, b"5 \r\nhello\r\n"),
        (400, b"\r\n5\r\nhello\r\n"),
        (400, b"+5\r\nhello\r\n"),
        (400, b"5;a\x00\r\nhello\r\n"),
        (400, b"5\r\nhelloXX0\r\n\r\n"),
        (400, b"0\r\nX-A: b\nX-C: d\r\n\r\n"),
        (400, b"0\r\n folded\r\n\r\n"),
        (400, b"0\r\nno colon\r\n\r\n"),
    ],
)
def test_what_is_wrong_between_chunks(status, sent):
    receiver = chunks()
    for begin in range(0, len(sent), 1000):
        receiver.received(sent[begin : begin + 1000])
    assert receiver.error is not None
    assert receiver.error.code == status
    assert len(receiver) <= MOST
    assert not receiver.completed


def test_what_is_kept_between_chunks_does_not_grow():
    receiver = chunks()
    receiver.received(b"0\r\n")
    for _ in range(50):
        assert receiver.received(b"X-A: b") == 6
        receiver.received(b"\r\n")
    kept = [value for value in vars(receiver).values() if isinstance(value, bytes)]
    assert sum(map(len, kept)) < 10
