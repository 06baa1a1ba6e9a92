"""ZIP archives while they go out (dicomweb.md W-9, M-9)."""

import zipfile
from datetime import datetime
from io import BytesIO

import pytest

from dicomweb_gateway.errors import CorruptFrame
from dicomweb_gateway.wado.body import Lazy
from dicomweb_gateway.web.zipped import zip_pieces

MOMENT = datetime(2026, 3, 11, 9, 30, 14)


def test_entries_come_back_with_their_date():
    entries = [(f"s/{n}.dcm", [b"head", Lazy(n, lambda n=n: bytes(n))]) for n in range(40)]
    with zipfile.ZipFile(BytesIO(b"".join(zip_pieces(entries, MOMENT)))) as archive:
        assert archive.testzip() is None
        assert [archive.read(f"s/{n}.dcm") for n in range(40)] == [b"head" + bytes(n) for n in range(40)]
        assert {entry.date_time for entry in archive.infolist()} == {(2026, 3, 11, 9, 30, 14)}


def test_pieces_stay_small_and_come_as_they_are_made():
    made = []

    def body(number):
        made.append(number)
        return bytes(3 << 20)

    entries = ((f"{n}", [Lazy(3 << 20, lambda n=n: body(n))]) for n in range(5))
    pieces = zip_pieces(entries, MOMENT)
    assert next(pieces).startswith(b"PK")
    assert made == [0]
    assert max(map(len, pieces)) < 2 << 20
    assert made == [0, 1, 2, 3, 4]


def test_what_fails_on_the_way_leaves_no_archive():
    def broken():
        raise CorruptFrame("its CRC-32 is wrong")

    sent = BytesIO()
    with pytest.raises(CorruptFrame):
        sent.writelines(zip_pieces([("a", [b"fine"]), ("b", [Lazy(4, broken)])], MOMENT))
    assert sent.getvalue().startswith(b"PK")
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(sent)


def test_nobody_waits_for_an_archive_that_is_given_up():
    pieces = zip_pieces([("a", [b"fine"]), ("b", [b"never asked"])], MOMENT)
    next(pieces)
    pieces.close()
