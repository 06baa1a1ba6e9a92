"""More series for the gateway of tests/routes/archive.py: videos, documents, cines, masks, a broken slice."""

from base64 import b64encode
from typing import Any

import numpy as np

from dicomweb_gateway.pixels.encoders import encode_htj2k
from tests.routes.archive import PDF_CLASS, image

SYNTAX = "1.2.840.10008.1.2.4."
STREAM = b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 40
DOCUMENT = b"%PDF-1.7 of odd length."
FILMS, PAPERS, CINES, MIXED, LARGE = "1.2.30", "1.2.40", "1.2.50", "1.2.60", "1.2.70"
MPEG2, H264, HEVC = f"{FILMS}.1", f"{FILMS}.2", f"{FILMS}.3"
REPORT, PAPER, PAGE, MESH, EMPTY = (f"{PAPERS}.{number}" for number in range(1, 6))
CINE, STILL = f"{CINES}.1", f"{CINES}.2"
FILM_BESIDE, MASK_BESIDE = f"{MIXED}.1", f"{MIXED}.2"
SCAN = f"{LARGE}.1"
TORN, LONG = "1.2.80.1", "1.2.80.2"

CINE_FRAMES = 4
Series = dict[str, tuple[list[dict[str, Any]], dict[str, Any]]]


def cine_pixels(frame: int) -> np.ndarray:
    """Frame `frame` (from 1) of the cine: (40, 30) bytes from 0 to 255."""
    samples = np.random.default_rng(frame).integers(0, 256, (40, 30), dtype=np.uint8)
    samples[0, :2] = 0, 255
    return samples


def _film(syntax: str) -> dict[str, Any]:
    described = image(np.zeros((48, 64, 3), np.uint8), NumberOfFrames="90")
    tags = {**described, "PhotometricInterpretation": "YBR_PARTIAL_420"}
    return {"tags": tags, "syntax": f"{SYNTAX}{syntax}", "frames": [STREAM]}


def _paper(media_type: str, data: bytes = DOCUMENT, **tags: Any) -> dict[str, Any]:
    padded = data + b"\0" * (len(data) % 2)
    return {
        "tags": {
            "SOPClassUID": PDF_CLASS,
            "EncapsulatedDocument": b64encode(padded).decode(),
            "MIMETypeOfEncapsulatedDocument": media_type,
            **tags,
        }
    }


def _slice(samples: np.ndarray, **tags: Any) -> dict[str, Any]:
    return {"tags": image(samples, **tags), "frames": [encode_htj2k(samples)]}


def series() -> Series:
    """Series UID to (instances, series attributes)."""
    cine = image(cine_pixels(1), NumberOfFrames=str(CINE_FRAMES), FrameTime="50")
    torn = _slice(cine_pixels(2))
    torn["frames"] = [torn["frames"][0][:200]]
    return {
        MPEG2: ([_film("100")], {"Modality": "ES"}),
        H264: ([_film("102")], {"Modality": "ES"}),
        HEVC: ([_film("107")], {"Modality": "ES"}),
        REPORT: ([{"tags": {}}], {"Modality": "SR"}),
        PAPER: (
            [_paper("application/pdf", EncapsulatedDocumentLength=len(DOCUMENT)), _paper("application/pdf")],
            {"Modality": "DOC"},
        ),
        PAGE: ([_paper("text/html", b"<script>alert(1)</script>")], {"Modality": "DOC"}),
        MESH: ([_paper("model/stl", EncapsulatedDocumentLength=7)], {"Modality": "M3D"}),
        EMPTY: ([_paper("application/pdf", b"")], {"Modality": "DOC"}),
        CINE: (
            [{"tags": cine, "frames": [encode_htj2k(cine_pixels(n)) for n in range(1, CINE_FRAMES + 1)]}],
            {"Modality": "US"},
        ),
        STILL: ([_slice(cine_pixels(7)), _slice(cine_pixels(8)[:20]), {"tags": {}}], {"Modality": "US"}),
        FILM_BESIDE: ([_film("102")], {"Modality": "ES"}),
        MASK_BESIDE: ([_slice(cine_pixels(3))], {"Modality": "SEG"}),
        SCAN: (
            [_slice(np.add.outer(np.arange(512), np.arange(400)).astype(np.uint16))],
            {"Modality": "CT"},
        ),
        LONG: (
            [{"tags": {**cine, "NumberOfFrames": "5"}, "frames": [encode_htj2k(cine_pixels(1))] * 5}],
            {"Modality": "US"},
        ),
        TORN: ([torn, _slice(cine_pixels(4)), {**torn}, _slice(cine_pixels(5))], {"Modality": "CT"}),
    }
