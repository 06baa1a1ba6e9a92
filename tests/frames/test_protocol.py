import struct

import orjson
import pytest

from dicomweb_gateway.errors import (
    CorruptFrame,
    DecodersUnavailable,
    FetchersUnavailable,
    UpstreamBusy,
    UpstreamDenied,
    UpstreamFailed,
    UpstreamNotFound,
    UpstreamThrottled,
    UpstreamTimeout,
)
from dicomweb_gateway.frames.protocol import (
    MAX_FRAMES,
    MAX_HEADER,
    Answer,
    MessageReader,
    ProtocolError,
    Request,
    encode_answer,
    encode_request,
    parse_answer,
    parse_request,
)
from dicomweb_gateway.imagesets.store import FrameKey, WantedFrame

FRAME = WantedFrame(FrameKey("d" * 32, "i" * 32, "f" * 32), "1.2.840.10008.1.2.1", 4_294_967_295, 2)
UNKNOWN = WantedFrame(FrameKey("ü", "", '"\\\n'), "", None, 1)
REQUESTS = [
    Request(1, "get", (FRAME,)),
    Request(2**53, "get", (UNKNOWN,), inline=True),
    Request(3, "prefetch", (FRAME, UNKNOWN)),
    Request(4, "prefetch", (FRAME,) * MAX_FRAMES),
    Request(5, "cancel"),
    Request(6, "stats"),
]
ANSWERS = [
    Answer(1, length=0),
    Answer(2, length=2**40),
    Answer(5, length=7, is_new=True, is_bare=True),
    Answer(3, payload=bytes(range(256)) * 1000),
    Answer(4, stats={"name": "0", "fetched": 7}),
]


def message(header: bytes, payload: bytes = b"", magic: bytes = b"DGW1") -> bytes:
    return struct.pack("<4sII", magic, len(header), len(payload)) + header + payload


@pytest.mark.parametrize("step", [1, 7, 4096, 1 << 30])
def test_requests_survive_any_cutting(step):
    stream = b"".join(encode_request(request) for request in REQUESTS)
    reader = MessageReader()
    found = []
    for start in range(0, len(stream), step):
        found += [parse_request(header) for header, _ in reader.feed(stream[start : start + step])]
    assert found == REQUESTS


@pytest.mark.parametrize("step", [1000, 1 << 30])
def test_answers_survive_any_cutting(step):
    stream = b"".join(b"".join(encode_answer(answer)) for answer in ANSWERS)
    reader = MessageReader(max_payload=1 << 20)
    found = []
    for start in range(0, len(stream), step):
        found += [parse_answer(*message) for message in reader.feed(stream[start : start + step])]
    assert found == ANSWERS


@pytest.mark.parametrize(
    "error",
    [
        CorruptFrame("why"),
        DecodersUnavailable("why"),
        FetchersUnavailable("why"),
        UpstreamBusy("why", 5.0),
        UpstreamDenied("why"),
        UpstreamFailed("why"),
        UpstreamNotFound("why"),
        UpstreamThrottled("why", 1.5),
        UpstreamTimeout("why"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_arrive_as_what_they_were(error):
    reader = MessageReader()
    ((header, payload),) = reader.feed(b"".join(encode_answer(Answer(1, error=error))))
    arrived = parse_answer(header, payload).error
    assert type(arrived) is type(error)
    assert str(arrived) == "why"
    assert getattr(arrived, "retry_after", None) == getattr(error, "retry_after", None)


@pytest.mark.parametrize(
    "stream",
    [
        b"GET / HTTP/1.1\r\n",
        b"DGX",
        message(b"{}", magic=b"DGW2"),
        struct.pack("<4sII", b"DGW1", MAX_HEADER + 1, 0),
        struct.pack("<4sII", b"DGW1", 2, 11),
        message(b"{"),
        message(b"[]"),
        message(b"\xff\xfe"),
        message(b""),
    ],
    ids=["http", "start", "magic", "header", "payload", "cut", "array", "bytes", "none"],
)
def test_garbage_ends_the_conversation(stream):
    with pytest.raises(ProtocolError):
        list(MessageReader(max_payload=10).feed(stream))


def test_a_truncated_message_is_not_given():
    stream = encode_request(REQUESTS[0])
    reader = MessageReader()
    assert list(reader.feed(stream[:-1])) == []
    assert len(list(reader.feed(stream[-1:]))) == 1


ROW = ["d", "i", "f", "1.2", None, 1]


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"id": 1, "op": "get", "frames": []},
        {"id": 1, "op": "get", "frames": [ROW, ROW]},
        {"id": 1, "op": "drop table", "frames": []},
        {"id": "1", "op": "get", "frames": [ROW]},
        {"id": True, "op": "get", "frames": [ROW]},
        {"id": 1, "op": "get", "frames": [ROW[:5]]},
        {"id": 1, "op": "get", "frames": [[*ROW, 7]]},
        {"id": 1, "op": "get", "frames": [[1, *ROW[1:]]]},
        {"id": 1, "op": "get", "frames": [[*ROW[:4], "12", 1]]},
        {"id": 1, "op": "get", "frames": [[*ROW[:5], None]]},
        {"id": 1, "op": "get", "frames": 7},
        {"id": 1, "op": "prefetch", "frames": [ROW] * (MAX_FRAMES + 1)},
    ],
    ids=lambda header: str(header)[:60],
)
def test_what_is_no_request(header):
    with pytest.raises(ProtocolError):
        parse_request(orjson.loads(orjson.dumps(header)))


@pytest.mark.parametrize(
    "header",
    [{}, {"id": "1", "ok": True}, {"id": 1, "ok": True, "length": "7"}, {"id": 1, "ok": True, "stats": 3}],
    ids=str,
)
def test_what_is_no_answer(header):
    with pytest.raises(ProtocolError):
        parse_answer(header, b"")


def test_an_unknown_error_is_a_failure():
    answer = parse_answer(
        {"id": 1, "ok": False, "error": "SystemExit", "message": "x", "retry_after": "y"}, b""
    )
    assert type(answer.error) is UpstreamFailed
    assert answer.error.retry_after is None
