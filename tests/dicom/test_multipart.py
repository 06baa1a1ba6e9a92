"""The streaming reader of multipart bodies: where parts lie, and every way in which a body can lie."""

from io import BytesIO
from random import Random

import pytest

from dicomweb_gateway.dicom import multipart
from dicomweb_gateway.dicom.multipart import MalformedMultipart, content_type, read_parts

HEAD = b"Content-Type: application/dicom\r\n\r\n"


def body_of(*contents: bytes, boundary: bytes = b"b", preamble: bytes = b"", epilogue: bytes = b"") -> bytes:
    parts = b"".join(b"\r\n--" + boundary + b"\r\n" + HEAD + content for content in contents)
    return preamble + (parts if preamble else parts[2:]) + b"\r\n--" + boundary + b"--" + epilogue


def contents_of(body: bytes, boundary: str = "b") -> list[bytes]:
    file = BytesIO(body)
    return [part.open(file).read() for part in list(read_parts(file, boundary))]


@pytest.mark.parametrize(
    "contents",
    [
        [b"one"],
        [b"one", b"two"],
        [b"", b"x", b""],
        [b"\r\n", b"\r\n\r\n", b"x--b", b"\r\n-", b"--"],
        [b"\r\n--bx\r\n", b"\r\n--b-", b"\r\n--b x"],
        [b"\n--b\n", b"\r--b\r"],
    ],
)
def test_parts_come_as_they_are(contents):
    assert contents_of(body_of(*contents)) == contents
    assert contents_of(body_of(*contents, preamble=b"hello", epilogue=b"\r\nbye --b")) == contents


@pytest.mark.parametrize("window", [20_000, 20_001, 65_536])
def test_windows_of_the_file_change_nothing(monkeypatch, window):
    monkeypatch.setattr(multipart, "_WINDOW", window)
    random = Random(8)
    contents = [random.randbytes(random.choice([0, 1, 100, 19_990, 20_000, 70_000])) for _ in range(60)]
    boundary = "x" * 70
    assert contents_of(body_of(*contents, boundary=boundary.encode()), boundary) == contents


def test_header_lines_have_lower_case_names():
    body = b"--b \t\r\nCONTENT-type:  a/b; c=d \r\nX-Y:z\r\n\r\ndata\r\n--b\r\n\r\nbare\r\n--b--\r\n"
    first, second = read_parts(BytesIO(body), "b")
    assert first.headers == {"content-type": "a/b; c=d", "x-y": "z"}
    assert (second.headers, second.length) == ({}, 4)


WHOLE = body_of(b"one", b"two" * 100)


def test_a_body_that_is_cut_anywhere_is_refused():
    for length in range(len(WHOLE)):
        with pytest.raises(MalformedMultipart):
            contents_of(WHOLE[:length])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--c\r\n\r\nx\r\n--c--",
        b"--b\r\nno colon\r\n\r\nx\r\n--b--",
        b"--b\r\n: nameless\r\n\r\nx\r\n--b--",
        b"--b\r\nA: " + b"x" * 20_000 + b"\r\n\r\nx\r\n--b--",
        b"--b\r\nContent-Length: 2\r\n\r\nx\r\n--b--",
        b"--b\nA: b\n\nx\n--b--",
    ],
)
def test_lies_are_refused(body):
    with pytest.raises(MalformedMultipart):
        contents_of(body)


@pytest.mark.parametrize("boundary", ["", "x" * 71, "ends with ", "é", "a\r\nb", 'a"b'])
def test_boundaries_are_of_the_standards_form(boundary):
    with pytest.raises(MalformedMultipart, match="boundary"):
        contents_of(WHOLE, boundary)


def test_a_part_is_a_file_that_can_seek():
    file = BytesIO(body_of(b"0123456789", b"next"))
    part = next(iter(read_parts(file, "b")))
    with part.open(file) as opened:
        assert opened.read(3) == b"012"
        assert opened.seek(-2, 2) == 8
        assert opened.read() == b"89"
        assert opened.read() == b""


@pytest.mark.parametrize(
    ("header", "media_type", "parameters"),
    [
        ("", "", {}),
        ("a/B", "a/b", {}),
        ("a/b; type=application/dicom; boundary=x", "a/b", {"type": "application/dicom", "boundary": "x"}),
        ('a/b;Type="c/d";boundary="a b;c"', "a/b", {"type": "c/d", "boundary": "a b;c"}),
        ("a/b; boundary", "a/b", {"boundary": ""}),
        ("a/b\r\nX: y; c=d", "a/b  x: y", {"c": "d"}),
        (";;;", "", {}),
    ],
)
def test_content_types_as_clients_write_them(header, media_type, parameters):
    found = content_type(header)
    assert found[0] == media_type
    assert {name: value for name, value in found[1].items() if name} == parameters


def test_header_lines_may_be_folded():
    body = b"--b\r\nContent-Type: application/dicom;\r\n\t transfer-syntax=1.2\r\nX: y\r\n\r\ndata\r\n--b--"
    [part] = read_parts(BytesIO(body), "b")
    assert part.headers == {"content-type": "application/dicom; transfer-syntax=1.2", "x": "y"}


def test_header_lines_are_short_on_average():
    def body(count: int, length: int) -> bytes:
        return b"".join(b"--b\r\nX: " + b"x" * length + b"\r\n\r\nz\r\n" for _ in range(count)) + b"--b--"

    assert len(contents_of(body(200, 1000))) == 200
    assert len(contents_of(body(1, 15_000))) == 1
    with pytest.raises(MalformedMultipart, match="too long"):
        contents_of(body(3, 15_000))
