"""Real Accept headers to representations (dicomweb.md 1.1, W-1, W-2, W-8, F-4, section 8 verbatim)."""

import pytest

from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.errors import NotAcceptable
from dicomweb_gateway.pixels.encode import RENDERED_TYPES
from dicomweb_gateway.pixels.targets import servable
from dicomweb_gateway.web.accept import parse_accept
from dicomweb_gateway.web.negotiation import (
    Representation,
    instance_form,
    negotiate_bulk,
    negotiate_frames,
    negotiate_instances,
    negotiate_json,
    negotiate_rendered,
)

ROOT = "1.2.840.10008.1.2"
ELE, HTJ2K, HTJ2K_LOSSY, JPEG, J2K_LOSSY = (
    ROOT + ".1",
    ROOT + ".4.202",
    ROOT + ".4.203",
    ROOT + ".4.50",
    ROOT + ".4.91",
)
MP4, UNKNOWN = ROOT + ".4.102", "1.2.3.4"
OCTET = "application/octet-stream"

OHIF = "multipart/related; type=application/octet-stream; transfer-syntax=*"
OHIF_QUOTED = 'multipart/related; type="application/octet-stream"; transfer-syntax="*"'
OHIF_JPHC = f'multipart/related; type="image/jphc"; transfer-syntax="{HTJ2K}"'
DWC_PY = 'multipart/related; type="*/*"'
DWC_JS = 'multipart/related; type="application/octet-stream"'
AWS_OHIF = (
    f"multipart/related; type=image/jphc; transfer-syntax={HTJ2K}, "
    f"multipart/related; type=image/jp2; transfer-syntax={ROOT}.4.90, "
    f"multipart/related; type=image/jpeg; transfer-syntax={JPEG}, "
    f"multipart/related; type=application/octet-stream; transfer-syntax={ELE}"
)
XHR = "application/dicom+json, multipart/related; type=application/octet-stream; transfer-syntax=*"

GREY = PixelDescription(8, 8, bits_allocated=8, bits_stored=8, high_bit=7)
DEEP = PixelDescription(8, 8, bits_allocated=32, bits_stored=32, high_bit=31)
BITS = PixelDescription(8, 8, bits_allocated=1, bits_stored=1, high_bit=0)


def syntaxes(stored, pixels=GREY):
    return servable(stored, pixels)


def of_type(media_type, tail):
    return f"multipart/related; type={media_type}; transfer-syntax={ROOT}{tail}"


FRAMES = [
    ("F-4 octet-stream is decoded", DWC_JS, HTJ2K, OCTET, True, ELE),
    ("F-4 octet-stream is decoded though lossy", DWC_JS, JPEG, OCTET, True, ELE),
    ("A-5 none", None, HTJ2K, OCTET, True, ELE),
    ("A-5 */*", "*/*", HTJ2K, OCTET, True, ELE),
    ("A-5 *", "*", HTJ2K, OCTET, True, ELE),
    ("A-5 bare multipart", "multipart/related", HTJ2K, OCTET, True, ELE),
    ("A-6 dwc-py", DWC_PY, HTJ2K, OCTET, True, ELE),
    ("W-2 none, lossy", None, HTJ2K_LOSSY, "image/jphc", True, HTJ2K_LOSSY),
    ("W-2 */*, lossy", "*/*", JPEG, "image/jpeg", True, JPEG),
    ("W-2 dwc-py, lossy", DWC_PY, J2K_LOSSY, "image/jp2", True, J2K_LOSSY),
    ("W-2 image/*, lossy", "multipart/related; type=image/*", JPEG, "image/jpeg", True, JPEG),
    ("L-3 OHIF", OHIF, HTJ2K, "image/jphc", True, HTJ2K),
    ("V-1 OHIF quoted", OHIF_QUOTED, HTJ2K, "image/jphc", True, HTJ2K),
    ("V-1 OHIF named", OHIF_JPHC, HTJ2K, "image/jphc", True, HTJ2K),
    ("V-1 AWS OHIF, HTJ2K", AWS_OHIF, HTJ2K, "image/jphc", True, HTJ2K),
    ("V-1 AWS OHIF, JPEG", AWS_OHIF, JPEG, "image/jpeg", True, JPEG),
    ("V-1 AWS OHIF, native", AWS_OHIF, ELE, OCTET, True, ELE, BITS),
    ("V-1 AWS OHIF, other HTJ2K is decoded", AWS_OHIF, HTJ2K_LOSSY, OCTET, True, ELE),
    ("F-4 stored native", OHIF, ELE, OCTET, True, ELE),
    ("F-4 stored video", OHIF, MP4, "video/mp4", True, MP4),
    ("F-4 unknown stored syntax", OHIF, UNKNOWN, OCTET, True, UNKNOWN),
    (
        "A-8 dwc-js jhc, unlabelled",
        'multipart/related; type="image/jhc"',
        HTJ2K_LOSSY,
        "image/jphc",
        True,
        HTJ2K_LOSSY,
    ),
    ("A-7 image/*", "multipart/related; type=image/*", HTJ2K, "image/jphc", True, HTJ2K),
    ("A-7 video/*", "multipart/related; type=video/*", MP4, "video/mp4", True, MP4),
    ("A-3 unknown members are skipped", f"toto, application/x-new, {OHIF}", HTJ2K, "image/jphc", True, HTJ2K),
    ("A-3 XHR's joined list", XHR, HTJ2K, "image/jphc", True, HTJ2K),
    (
        "F-4 jp2 is lossless",
        "multipart/related; type=image/jp2",
        ROOT + ".4.90",
        "image/jp2",
        True,
        ROOT + ".4.90",
    ),
    (
        "F-4 jls is lossless",
        "multipart/related; type=image/x-jls",
        ROOT + ".4.80",
        "image/jls",
        True,
        ROOT + ".4.80",
    ),
    (
        "F-4 jpeg is .70",
        "multipart/related; type=image/jpeg",
        ROOT + ".4.70",
        "image/jpeg",
        True,
        ROOT + ".4.70",
    ),
    ("F-4 rle", "multipart/related; type=image/dicom-rle", ROOT + ".5", "image/dicom-rle", True, ROOT + ".5"),
    ("W-3 jp2", of_type("image/jp2", ".4.90"), HTJ2K, "image/jp2", True, ROOT + ".4.90"),
    ("W-3 jls", of_type("image/jls", ".4.80"), HTJ2K, "image/jls", True, ROOT + ".4.80"),
    ("W-3 jpeg", of_type("image/jpeg", ".4.70"), HTJ2K, "image/jpeg", True, ROOT + ".4.70"),
    ("W-3 rle", of_type("image/dicom-rle", ".5"), HTJ2K, "image/dicom-rle", True, ROOT + ".5"),
    ("W-3 HTJ2K of a J2K store", OHIF_JPHC, ROOT + ".4.90", "image/jphc", True, HTJ2K),
    ("W-3 .201", of_type("image/jphc", ".4.201"), HTJ2K, "image/jphc", True, ROOT + ".4.201"),
    ("W-3 baseline when asked", of_type("image/jpeg", ".4.50"), HTJ2K, "image/jpeg", True, JPEG),
    ("W-3 any type", of_type("*/*", ".4.80"), HTJ2K, "image/jls", True, ROOT + ".4.80"),
    ("W-3 octet-stream", of_type(OCTET, ".4.80"), HTJ2K, "image/jls", True, ROOT + ".4.80"),
    ("W-3 image/*", of_type("image/*", ".4.80"), HTJ2K, "image/jls", True, ROOT + ".4.80"),
    ("W-3 lossy to lossless", OHIF_JPHC, HTJ2K_LOSSY, "image/jphc", True, HTJ2K),
    ("F-4 jp2", "multipart/related; type=image/j2c", HTJ2K, "image/jp2", True, ROOT + ".4.90"),
    ("F-4 jls", "multipart/related; type=image/x-jls", HTJ2K, "image/jls", True, ROOT + ".4.80"),
    ("F-4 jpeg", "multipart/related; type=image/jpeg", HTJ2K, "image/jpeg", True, ROOT + ".4.70"),
    ("F-4 rle of", "multipart/related; type=image/dicom-rle", HTJ2K, "image/dicom-rle", True, ROOT + ".5"),
    (
        "F-4 jpeg of lossy JPEG is .70",
        "multipart/related; type=image/jpeg",
        JPEG,
        "image/jpeg",
        True,
        ROOT + ".4.70",
    ),
    ("F-4 jp2 alone of lossy JPEG 2000", "image/jp2", J2K_LOSSY, "image/jp2", False, ROOT + ".4.90"),
    ("F-4 image/* of native", "multipart/related; type=image/*", ELE, "image/jp2", True, ROOT + ".4.90"),
    (
        "F-4 image/* of 32 bits",
        "multipart/related; type=image/*",
        ELE,
        "image/dicom-rle",
        True,
        ROOT + ".5",
        DEEP,
    ),
    ("A-3 32 bits skip jls", f"image/jls, {OHIF}", HTJ2K, "image/jphc", True, HTJ2K, DEEP),
    ("A-1 order", "image/jls, image/jphc", HTJ2K, "image/jls", False, ROOT + ".4.80"),
    ("A-1 weight beats order", "image/jls;q=0.4, image/jphc;q=0.5", HTJ2K, "image/jphc", False, HTJ2K),
    ("A-1 weight beats size", f"image/jls, {OHIF};q=0.5", JPEG, "image/jls", False, ROOT + ".4.80"),
    ("F-4 single frame", "application/octet-stream", HTJ2K, OCTET, False, ELE),
    (
        "F-4 single frame as stored",
        "application/octet-stream; transfer-syntax=*",
        HTJ2K,
        "image/jphc",
        False,
        HTJ2K,
    ),
    ("L-6 accept=image/jhc", "image/jhc", HTJ2K, "image/jphc", False, HTJ2K),
    ("F-4 single, second choice", "image/png, image/jphc", HTJ2K, "image/jphc", False, HTJ2K),
]


@pytest.mark.parametrize(
    ("accept", "stored", "media_type", "multipart", "syntax", "pixels"),
    [(*row[1:6], row[6] if len(row) > 6 else GREY) for row in FRAMES],
    ids=[row[0] for row in FRAMES],
)
def test_frames(accept, stored, media_type, multipart, syntax, pixels):
    chosen = negotiate_frames(parse_accept([accept] if accept else []), syntaxes(stored, pixels), 1)
    assert chosen == Representation(media_type, multipart, syntax)
    assert chosen.part_type == f"{media_type}; transfer-syntax={syntax}"


REFUSED_FRAMES = [
    ("A-10 implicit", f"multipart/related; type=application/octet-stream; transfer-syntax={ROOT}", HTJ2K, 1),
    (
        "A-10 implicit though stored so",
        f"multipart/related; type=application/octet-stream; transfer-syntax={ROOT}",
        ROOT,
        1,
    ),
    ("A-10 big endian", f"multipart/related; type=*/*; transfer-syntax={ROOT}.2", HTJ2K, 1),
    ("F-4 jphc of native", "multipart/related; type=image/jphc", ELE, 1),
    ("W-3 JPEG Baseline of what is lossy already", of_type("image/jpeg", ".4.50"), J2K_LOSSY, 1),
    ("W-3 lossy HTJ2K cannot be made", of_type("image/jphc", ".4.203"), HTJ2K, 1),
    ("F-4 the type is not that of the syntax", of_type("image/jls", ".4.90"), HTJ2K, 1),
    ("F-4 single part, two frames", "application/octet-stream", HTJ2K, 2),
    ("W-2 a video is not decoded", DWC_JS, MP4, 1),
    ("an unknown coding is not decoded", DWC_JS, UNKNOWN, 1),
    ("q=0", f"{OHIF};q=0", HTJ2K, 1),
    ("rendered type", "multipart/related; type=image/png", HTJ2K, 1),
]


@pytest.mark.parametrize(
    ("accept", "stored", "count"), [row[1:] for row in REFUSED_FRAMES], ids=[row[0] for row in REFUSED_FRAMES]
)
def test_refused_frames_name_what_could_be_served(accept, stored, count):
    with pytest.raises(NotAcceptable) as refused:
        negotiate_frames(parse_accept([accept]), syntaxes(stored), count)
    # each of the named forms is served when asked
    assert refused.value.offered
    for offer in refused.value.offered:
        assert offer in str(refused.value)
        if stored != ROOT:
            negotiate_frames(parse_accept([offer]), syntaxes(stored), count)


INSTANCES = [
    ("W-1 none", None, HTJ2K, True, ELE),
    ("A-5 */*", "*/*", HTJ2K, True, ELE),
    ("L-19 accept=*", "*", HTJ2K, True, ELE),
    ("L-10 dwc-js", 'multipart/related; type="application/dicom"', HTJ2K, True, ELE),
    ("L-16 Weasis", 'multipart/related;type="application/dicom";transfer-syntax=*', HTJ2K, True, HTJ2K),
    (
        "W-1 the stored UID",
        f"multipart/related; type=application/dicom; transfer-syntax={HTJ2K}",
        HTJ2K,
        True,
        HTJ2K,
    ),
    ("W-1 ELE", f'multipart/related; type="application/dicom"; transfer-syntax={ELE}', HTJ2K, True, ELE),
    ("W-2 lossy", 'multipart/related; type="application/dicom"', JPEG, True, JPEG),
    (
        "W-1 ELE asked of lossy",
        f"multipart/related; type=application/dicom; transfer-syntax={ELE}",
        JPEG,
        True,
        ELE,
    ),
    *[
        (f"W-3 {tail}", f"application/dicom; transfer-syntax={ROOT}{tail}", HTJ2K, False, ROOT + tail)
        for tail in (".4.90", ".4.80", ".4.70", ".5", ".4.201", ".4.50")
    ],
    ("W-8 alone", "application/dicom", HTJ2K, False, ELE),
    ("W-8 alone as stored", "application/dicom; transfer-syntax=*", HTJ2K, False, HTJ2K),
    ("W-2 video", "multipart/related; type=application/dicom", MP4, True, MP4),
    ("A-5 bare multipart", "multipart/related", ELE, True, ELE),
    (
        "A-3 a syntax that cannot be made is skipped",
        f"application/dicom; transfer-syntax={ROOT}.4.91, application/dicom; transfer-syntax=*",
        HTJ2K,
        False,
        HTJ2K,
    ),
    (
        "A-10 implicit is skipped",
        f"application/dicom; transfer-syntax={ROOT}, multipart/related",
        HTJ2K,
        True,
        ELE,
    ),
]


def form(accept, stored, has_pixels=True, single=True):
    choices = negotiate_instances(parse_accept([accept] if accept else []), single)
    return instance_form(choices, syntaxes(stored) if has_pixels else None)


@pytest.mark.parametrize(
    ("accept", "stored", "multipart", "syntax"),
    [row[1:] for row in INSTANCES],
    ids=[row[0] for row in INSTANCES],
)
def test_instances(accept, stored, multipart, syntax):
    assert form(accept, stored) == Representation("application/dicom", multipart, syntax)


@pytest.mark.parametrize(
    "accept", [None, "application/dicom; transfer-syntax=*", f"application/dicom; transfer-syntax={HTJ2K}"]
)
def test_an_instance_without_pixels_is_the_same_in_every_syntax(accept):
    assert form(accept, HTJ2K, has_pixels=False).transfer_syntax == ELE


@pytest.mark.parametrize(
    ("accept", "single"),
    [
        (f"application/dicom; transfer-syntax={ROOT}", True),
        (f"multipart/related; type=application/dicom; transfer-syntax={ROOT}.2", True),
        (f"multipart/related; type=application/dicom; transfer-syntax={ROOT}.4.91", True),
        ("application/dicom", False),
        ("application/zip", True),
        ("image/jpeg", True),
        (DWC_JS, True),
    ],
    ids=["A-10", "A-10 big endian", "W-1 cannot be made", "W-8 series alone", "zip", "image", "octets"],
)
def test_refused_instances_name_what_could_be_served(accept, single):
    with pytest.raises(NotAcceptable) as refused:
        form(accept, HTJ2K, single=single)
    assert refused.value.offered
    for offer in refused.value.offered:
        form(offer, HTJ2K, single=single)


@pytest.mark.parametrize(
    ("pixels", "media_type"),
    [(BITS, "image/*"), (None, "image/jp2"), (None, OCTET), (None, "*/*"), (DEEP, "image/jp2")],
)
def test_what_such_pixels_cannot_be_is_not_promised(pixels, media_type):
    stored = ELE if pixels is BITS else HTJ2K
    with pytest.raises(NotAcceptable) as refused:
        negotiate_frames(
            parse_accept([f"{OHIF};q=0, multipart/related; type={media_type}"]), syntaxes(stored, pixels), 1
        )
    for offer in refused.value.offered:
        negotiate_frames(parse_accept([offer]), syntaxes(stored, pixels), 1)


def test_a_video_is_not_offered_decoded():
    with pytest.raises(NotAcceptable) as refused:
        form(f"application/dicom; transfer-syntax={ELE}", MP4)
    assert [offer.rpartition("=")[2] for offer in refused.value.offered] == ["*", MP4]


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, "application/dicom+json"),
        ("*/*", "application/dicom+json"),
        ("application/dicom+json", "application/dicom+json"),
        ("application/json", "application/json"),
        ("application/dicom+json, application/json", "application/dicom+json"),
        ("application/json;q=0.9, application/dicom+json;q=0.1", "application/json"),
        ("toto, application/dicom+json", "application/dicom+json"),
        (XHR, "application/dicom+json"),
        ("multipart/related", "application/dicom+json"),
        ("APPLICATION/DICOM+JSON", "application/dicom+json"),
        ("application/dicom json", "application/dicom+json"),
        (
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
            "application/dicom+json",
        ),
    ],
)
def test_json(accept, media_type):
    assert negotiate_json(parse_accept([accept] if accept else [])) == Representation(media_type)


@pytest.mark.parametrize("accept", ["text/html", "application/dicom", OHIF, "application/dicom+json;q=0"])
def test_json_that_is_not_wanted(accept):
    with pytest.raises(NotAcceptable, match=r"application/dicom\+json"):
        negotiate_json(parse_accept([accept]))


PDF = "application/pdf"
OHIF_PDF = 'multipart/related; type="application/pdf", multipart/related; type="application/octet-stream"'


@pytest.mark.parametrize(
    ("accept", "stored", "media_type", "multipart"),
    [
        (None, OCTET, OCTET, True),
        ("*/*", OCTET, OCTET, False),
        (DWC_PY, OCTET, OCTET, True),
        (DWC_JS, OCTET, OCTET, True),
        (OCTET, OCTET, OCTET, False),
        ("*/*, multipart/related", OCTET, OCTET, True),
        (OHIF, OCTET, OCTET, True),
        (OHIF_PDF, PDF, PDF, True),
        (OHIF_PDF, OCTET, OCTET, True),
        ("multipart/related; type=application/pdf", PDF, PDF, True),
        (PDF, PDF, PDF, False),
        (None, PDF, PDF, True),
        (DWC_JS, PDF, OCTET, True),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bulk_data(accept, stored, media_type, multipart):
    chosen = negotiate_bulk(parse_accept([accept] if accept else []), stored)
    assert chosen == Representation(media_type, multipart)


def test_bulk_data_that_is_not_wanted():
    with pytest.raises(NotAcceptable, match="octet-stream"):
        negotiate_bulk(parse_accept(["image/png"]))


@pytest.mark.parametrize(
    ("accept", "media_type", "multipart"),
    [
        (None, "image/jpeg", False),
        ("*/*", "image/jpeg", False),
        ("image/*", "image/jpeg", False),
        ("image/png", "image/png", False),
        ("image/gif", "image/gif", False),
        ("image/webp,image/apng,image/*;q=0.8", "image/jpeg", False),
        ("image/webp, image/png;q=0.5", "image/png", False),
        ("image/jp2", "image/jp2", False),
        ('multipart/related; type="image/jpeg"', "image/jpeg", True),
        (DWC_PY, "image/jpeg", False),
    ],
)
def test_rendered(accept, media_type, multipart):
    chosen = negotiate_rendered(parse_accept([accept] if accept else []), RENDERED_TYPES)
    assert chosen == Representation(media_type, multipart)


@pytest.mark.parametrize("accept", ["image/webp", "application/dicom", "video/*"])
def test_rendered_types_that_cannot_be_made(accept):
    with pytest.raises(NotAcceptable, match="image/jpeg, image/png, image/gif"):
        negotiate_rendered(parse_accept([accept]), RENDERED_TYPES)
