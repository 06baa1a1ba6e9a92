"""The one table of transfer syntaxes (dicomweb.md F-4, W-2; healthimaging.md 2.7)."""

import pytest
from pydicom.uid import UID

from dicomweb_gateway.dicom.transfer_syntax import TRANSFER_SYNTAXES, transfer_syntax

ROOT = "1.2.840.10008.1.2"


@pytest.mark.parametrize(
    ("tails", "media_type"),
    [
        ((".4.201", ".4.202", ".4.203"), "image/jphc"),
        ((".4.50", ".4.51", ".4.57", ".4.70"), "image/jpeg"),
        ((".4.80", ".4.81"), "image/jls"),
        ((".4.90", ".4.91"), "image/jp2"),
        ((".4.92", ".4.93"), "image/jpx"),
        ((".5",), "image/dicom-rle"),
        ((".4.110", ".4.111", ".4.112"), "image/jxl"),
        ((".4.100", ".4.101"), "video/mpeg"),
        ((".4.102", ".4.103", ".4.104", ".4.105", ".4.106"), "video/mp4"),
        ((".4.107", ".4.108"), "video/H265"),
        (("", ".1", ".1.99", ".2"), "application/octet-stream"),
    ],
)
def test_stored_syntax_to_media_type_by_f4(tails, media_type):
    assert {transfer_syntax(ROOT + tail).media_type for tail in tails} == {media_type}


@pytest.mark.parametrize(
    "tail", [".4.50", ".4.51", ".4.91", ".4.203", ".4.81", ".4.112", ".4.100", ".4.102", ".4.107", ".4.108"]
)
def test_lossy_syntaxes_of_w2(tail):
    assert not transfer_syntax(ROOT + tail).lossless


@pytest.mark.parametrize("tail", [".1", ".5", ".4.57", ".4.70", ".4.80", ".4.90", ".4.201", ".4.202"])
def test_lossless_syntaxes(tail):
    assert transfer_syntax(ROOT + tail).lossless


def test_native_and_encapsulated_as_pydicom_knows_them():
    known = [row for uid, row in TRANSFER_SYNTAXES.items() if UID(uid).is_transfer_syntax]
    assert len(known) > 30
    assert [row.uid for row in known if row.encapsulated != UID(row.uid).is_encapsulated] == []


def test_unknown_syntax():
    assert transfer_syntax("1.2.3") is None
