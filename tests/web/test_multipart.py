"""multipart/related framing, read back three ways (dicomweb.md M-1 to M-6)."""

import email
import re

import pytest

from dicomweb_gateway.web.multipart import MultipartFraming, boundary_for

PARTS = [
    (
        "image/jphc; transfer-syntax=1.2.840.10008.1.2.4.202",
        b"\xff\x4f" + bytes(range(256)),
        "/aetitle/a/frames/1",
    ),
    ("image/jphc; transfer-syntax=1.2.840.10008.1.2.4.202", b"", "/aetitle/a/frames/2"),
    ("image/jphc; transfer-syntax=1.2.840.10008.1.2.4.202", b"\r\n--\r\n\r\n", None),
]


@pytest.fixture
def framing():
    return MultipartFraming(boundary_for(b"key", "content", "form"), "image/jphc")


def joined(framing):
    heads = framing.heads((kind, len(payload), location) for kind, payload, location in PARTS)
    pairs = zip(heads, (payload for _, payload, _ in PARTS), strict=True)
    return b"".join(piece for pair in pairs for piece in pair) + framing.tail


def by_hand(body, boundary):
    """Headers and payload of each part, as a client splits on CRLF and the boundary."""
    delimiter = b"--" + boundary.encode()
    assert body.startswith(delimiter + b"\r\n")
    assert body.endswith(b"\r\n" + delimiter + b"--\r\n")
    inner = body[len(delimiter) + 2 : -len(delimiter) - 6]
    return [part.split(b"\r\n\r\n", 1) for part in inner.split(b"\r\n" + delimiter + b"\r\n")]


def test_header_quotes_the_type_and_not_the_boundary(framing):
    assert re.fullmatch(
        r'multipart/related; type="image/jphc"; boundary=[0-9A-Za-z-]{1,70}', framing.content_type
    )


def test_splitting_by_hand_gives_the_payloads(framing):
    parts = by_hand(joined(framing), framing.boundary)
    assert [payload for _, payload in parts] == [payload for _, payload, _ in PARTS]


def test_part_headers_have_the_order_and_size_that_clients_need(framing):
    for (head, _), (kind, payload, location) in zip(
        by_hand(joined(framing), framing.boundary), PARTS, strict=True
    ):
        expected = [f"Content-Type: {kind}", f"Content-Length: {len(payload)}"]
        assert head.decode().split("\r\n") == expected + (
            [f"Content-Location: {location}"] if location else []
        )
        assert len(head) < 900


def test_the_email_package_reads_it(framing):
    message = email.message_from_bytes(
        f"Content-Type: {framing.content_type}\r\n\r\n".encode() + joined(framing)
    )
    parts = message.get_payload()
    assert [part.get_content_type() for part in parts] == ["image/jphc"] * 3
    assert {part.get_param("transfer-syntax") for part in parts} == {"1.2.840.10008.1.2.4.202"}
    assert parts[0].get_payload(decode=True) == PARTS[0][1]


def test_line_ends_are_crlf_only(framing):
    head = framing.head("a/b", None, None, first=False) + framing.tail
    assert head.replace(b"\r\n", b"").isascii()
    assert b"\n" not in head.replace(b"\r\n", b"")
    assert b"Content-Length" not in head


def test_boundary_follows_content_form_and_key_only():
    same = {boundary_for(b"key", "content", "form") for _ in range(3)}
    others = {
        boundary_for(b"key", "content", "other"),
        boundary_for(b"key2", "content", "form"),
        boundary_for(b"key", "contentform"),
    }
    assert len(same) == 1
    assert len(same | others) == 4
