"""gzip where it is wanted (RFC 9110 12.5.3; dicomweb.md H-7)."""

import zlib

import pytest

from dicomweb_gateway.web.compression import accepts_gzip, gunzip_pieces, gzip_pieces


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, False),
        ("", False),
        ("gzip", True),
        ("gzip, deflate, br, zstd", True),
        ("GZIP", True),
        ("deflate", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("gzip ; q = 0.5", True),
        ("*", True),
        ("*;q=0", False),
        ("gzip;q=0, *", False),
        ("*;q=0, gzip", True),
        ("identity", False),
        ("gzip;q=1.2.3", True),
        ("gzip;q=.", True),
        ("gzip;q=0.", False),
    ],
)
def test_accept_encoding(header, expected):
    assert accepts_gzip(header) is expected


def test_pieces_become_one_member():
    pieces = [bytes([n]) * 5000 for n in range(50)]
    unpacker = zlib.decompressobj(31)
    data = b"".join(gzip_pieces(iter(pieces)))
    assert unpacker.decompress(data) == b"".join(pieces)
    assert unpacker.eof
    assert unpacker.unused_data == b""


def test_closing_ends_the_maker_of_the_pieces():
    ended = []

    def make():
        try:
            while True:
                yield zlib.compress(str(len(ended)).encode()) * 50_000
        finally:
            ended.append(True)

    packed = gzip_pieces(make())
    next(packed)
    packed.close()
    assert ended == [True]


def test_unpacking_gives_what_was_packed_in_bounded_pieces():
    body = bytes(range(256)) * 8192
    packed = list(gzip_pieces([body]))
    pieces = list(gunzip_pieces(packed))
    assert b"".join(pieces) == body
    assert max(map(len, pieces)) <= 1 << 18
