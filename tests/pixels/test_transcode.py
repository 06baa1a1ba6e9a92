"""Every lossless target gives back the stored words, by our decoders and by independent ones (W-3)."""

import hashlib
from dataclasses import replace

import imagecodecs
import numpy as np
import pytest
from pydicom.data import get_testdata_file
from pydicom.pixels.decoders.rle import _rle_decode_frame

from dicomweb_gateway.dicom.codestream import parse_codestream
from dicomweb_gateway.dicom.pixel_description import FLOAT_PIXEL_DATA, PixelDescription
from dicomweb_gateway.dicom.transfer_syntax import (
    EXPLICIT_VR_LE,
    HTJ2K_LOSSLESS,
    HTJ2K_LOSSLESS_RPCL,
    J2K_LOSSLESS,
    JPEG_BASELINE,
    JPEG_LOSSLESS_SV1,
    JPEG_LS_LOSSLESS,
    RLE,
    TRANSFER_SYNTAXES,
    transfer_syntax,
)
from dicomweb_gateway.errors import UndecodablePixels
from dicomweb_gateway.pixels import transcode
from dicomweb_gateway.pixels.decoders import decode_frame
from dicomweb_gateway.pixels.jpeg_header import read_jpeg_header
from dicomweb_gateway.pixels.optionals import decode_lossless_jpeg, decode_openjpeg
from dicomweb_gateway.pixels.samples import mask_samples
from dicomweb_gateway.pixels.targets import TARGETS, servable
from dicomweb_gateway.pixels.transcode import coded_description, decoded_description, encode_frame
from tests.pixels.samples_of_files import describe, expected_entries, frames_of, open_file

LOSSLESS = [target.uid for target in TARGETS if not target.lossy]
CODED = [uid for uid in LOSSLESS if uid != EXPLICIT_VR_LE]
SHAPES = [(1, 1), (1, 300), (300, 1), (3, 3), (67, 130)]
_LARGEST = 1 << 20
"""Bytes of a corpus frame beyond which the time of CI is better spent otherwise."""


def described(samples, **facts):
    bits = samples.dtype.itemsize * 8
    return PixelDescription(
        rows=samples.shape[0],
        columns=samples.shape[1],
        samples_per_pixel=3 if samples.ndim == 3 else 1,
        **{
            "bits_allocated": bits,
            "bits_stored": bits,
            "high_bit": bits - 1,
            "pixel_representation": int(samples.dtype.kind == "i"),
            "photometric_interpretation": "RGB" if samples.ndim == 3 else "MONOCHROME2",
            **facts,
        },
    )


def noise(dtype, shape, seed=5):
    limits = np.iinfo(dtype)
    return np.random.default_rng(seed).integers(limits.min, limits.max, shape, dtype, endpoint=True)


def returned(stream, uid, decoded):
    return decode_frame(stream, uid, coded_description(uid, decoded))


def as_unsigned(samples):
    return samples.view(f"u{samples.dtype.itemsize}")


@pytest.mark.parametrize("uid", CODED)
@pytest.mark.parametrize("dtype", ["|u1", "|i1", "<u2", "<i2", "<u4", "<i4"])
@pytest.mark.parametrize("photometric", ["MONOCHROME2", "RGB", "YBR_FULL"])
def test_all_words_come_back(uid, dtype, photometric):
    """Noise over the whole range: no coding can make it smaller, some double it."""
    for shape in SHAPES:
        colour = photometric != "MONOCHROME2"
        if 1 in shape and photometric == "YBR_FULL" and TRANSFER_SYNTAXES[uid].family == "htj2k":
            continue  # imagecodecs takes such planes for a grey image; encode_frame refuses
        samples = noise(dtype, (*shape, 3) if colour else shape)
        decoded = described(samples, photometric_interpretation=photometric)
        if uid not in servable(HTJ2K_LOSSLESS_RPCL, decoded).made:
            assert dtype[2] == "4"
            continue
        stream = encode_frame(samples, uid, decoded)
        assert np.array_equal(returned(stream, uid, decoded), samples)
        # M-6: byte ranges of two answers fit together
        assert stream == encode_frame(samples.copy(), uid, decoded)


@pytest.mark.parametrize("uid", CODED)
@pytest.mark.parametrize(
    ("dtype", "facts"),
    [
        ("<u2", {"bits_stored": 12, "high_bit": 11}),
        ("<i2", {"bits_stored": 12, "high_bit": 11}),
        ("<u2", {"bits_stored": 10, "high_bit": 15}),
        ("<u2", {"bits_stored": 8, "high_bit": 7}),
        ("|u1", {"bits_stored": 5, "high_bit": 4}),
    ],
)
def test_bits_outside_those_stored_survive(uid, dtype, facts):
    """P-1 drops them only for rendering: they may hold overlays (PS3.5 8.1)."""
    samples = noise(dtype, (20, 30))
    decoded = described(samples, **facts)
    assert np.array_equal(returned(encode_frame(samples, uid, decoded), uid, decoded), samples)


def test_jpeg_2000_has_the_precision_of_bits_stored_where_that_suffices():
    for dtype, low, high in (("<u2", 0, 4095), ("<i2", -2048, 2047)):
        samples = np.array([[low, high, 0, 1]], dtype)
        decoded = described(samples, bits_stored=12, high_bit=11)
        assert parse_codestream(encode_frame(samples, J2K_LOSSLESS, decoded)).precision == 12
        assert parse_codestream(encode_frame(samples + 1, J2K_LOSSLESS, decoded)).precision == 16


@pytest.mark.parametrize(
    ("uid", "decode"),
    [
        (JPEG_LOSSLESS_SV1, decode_lossless_jpeg),
        (JPEG_LOSSLESS_SV1, imagecodecs.ljpeg_decode),
        (HTJ2K_LOSSLESS_RPCL, decode_openjpeg),
    ],
    ids=["SOF3", "liblj92", "OpenJPEG"],
)
@pytest.mark.parametrize(("dtype", "shape"), [("|u1", (40, 50)), ("<i2", (40, 50)), ("|u1", (40, 50, 3))])
def test_independent_decoders_agree(uid, decode, dtype, shape):
    samples = noise(dtype, shape)
    found = np.asarray(decode(encode_frame(samples, uid, described(samples)))).reshape(shape)
    assert np.array_equal(as_unsigned(found), as_unsigned(samples))


@pytest.mark.parametrize(("dtype", "shape"), [("|u1", (7, 9, 3)), ("<i2", (7, 9)), ("<u4", (7, 9))])
def test_pydicom_reads_our_rle(dtype, shape):
    samples = noise(dtype, shape)
    stream = encode_frame(samples, RLE, described(samples))
    bits = samples.dtype.itemsize * 8
    planes = np.frombuffer(
        bytes(_rle_decode_frame(stream, shape[0], shape[1], samples[0, 0].size, bits, ">")), dtype
    ).reshape(-1, *shape[:2])
    assert np.array_equal(planes.transpose(1, 2, 0).reshape(shape), samples)


def test_rle_packs_every_row_on_its_own_into_segments_of_even_length():
    """PS3.5 G.3.1, G.5: runs over row ends would be shorter here."""
    samples = np.zeros((3, 200), "<u2")
    samples[:, 100:] = 0x0102
    stream = encode_frame(samples, RLE, described(samples))
    count, *offsets = np.frombuffer(stream[:64], "<u4")
    assert (count, offsets[0], set(offsets[2:])) == (2, 64, {0})
    row = bytes([157, 0, 157])
    assert stream[offsets[0] : offsets[1]] == (row + b"\1") * 3
    assert stream[offsets[1] :] == (row + b"\2") * 3
    odd = np.zeros((1, 3), "|u1")
    odd[0] = 1, 2, 3
    assert encode_frame(odd, RLE, described(odd))[64:] == b"\2\1\2\3"
    assert len(encode_frame(odd[:, :2], RLE, described(odd[:, :2]))) % 2 == 0


def test_streams_are_what_their_syntax_demands():
    samples = noise("|u1", (20, 30, 3))
    jls = encode_frame(samples, JPEG_LS_LOSSLESS, described(samples))
    assert jls.startswith(b"\xff\xd8\xff\xf7")  # no SPIFF: a bare stream (F-6)
    lossless = encode_frame(samples, JPEG_LOSSLESS_SV1, described(samples))
    assert read_jpeg_header(lossless).lossless
    scan = lossless.index(b"\xff\xda")
    assert lossless[scan + 4 + 1 + 2 * 3] == 1  # selection value 1
    rpcl = parse_codestream(encode_frame(samples, HTJ2K_LOSSLESS_RPCL, described(samples)))
    assert (rpcl.progression, rpcl.has_tlm, rpcl.high_throughput, rpcl.reversible) == (
        "RPCL",
        True,
        True,
        True,
    )
    j2k = parse_codestream(encode_frame(samples, J2K_LOSSLESS, described(samples)))
    assert (j2k.high_throughput, j2k.reversible) == (False, True)


@pytest.mark.parametrize(
    ("photometric", "uid", "coded", "planar"),
    [
        ("RGB", J2K_LOSSLESS, "YBR_RCT", 0),
        ("RGB", HTJ2K_LOSSLESS_RPCL, "YBR_RCT", 0),
        ("RGB", HTJ2K_LOSSLESS, "YBR_RCT", 0),
        ("RGB", JPEG_LS_LOSSLESS, "RGB", 0),
        ("RGB", JPEG_LOSSLESS_SV1, "RGB", 0),
        ("RGB", RLE, "RGB", 1),
        ("RGB", JPEG_BASELINE, "YBR_FULL_422", 0),
        ("RGB", EXPLICIT_VR_LE, "RGB", 0),
        *[("YBR_FULL", uid, "YBR_FULL", int(uid == RLE)) for uid in LOSSLESS],
    ],
)
def test_the_description_is_that_of_the_stream(photometric, uid, coded, planar):
    """W-6: the label and the codestream's own colour transform agree (PS3.5 8.2.4)."""
    samples = noise("|u1", (12, 14, 3))
    decoded = described(samples, photometric_interpretation=photometric)
    found = coded_description(uid, decoded)
    assert (found.photometric_interpretation, found.planar_configuration) == (coded, planar)
    if TRANSFER_SYNTAXES[uid].family in ("j2k", "htj2k"):
        transform = parse_codestream(encode_frame(samples, uid, decoded)).colour_transform
        assert transform == (coded == "YBR_RCT")


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "RGB", "YBR_FULL"])
def test_jpeg_baseline_is_close_and_labelled_as_coded(photometric):
    ramp = np.linspace(0, 255, 64, dtype="u1")
    grey = np.add.outer(ramp // 2, ramp // 2)
    samples = grey if photometric == "MONOCHROME1" else np.stack([grey, 255 - grey, grey // 2 + 60], -1)
    decoded = described(samples, photometric_interpretation=photometric)
    stream = encode_frame(samples, JPEG_BASELINE, decoded)
    header = read_jpeg_header(stream)
    assert (header.precision, header.lossless) == (8, False)
    given = returned(stream, JPEG_BASELINE, decoded)
    reference = imagecodecs.jpeg8_decode(stream)  # RGB, by the stream's own word
    if photometric == "YBR_FULL":
        assert np.abs(given.astype(int) - samples).max() < 12
    else:
        assert np.abs(np.asarray(reference).astype(int) - samples).max() < 12


def test_a_stream_that_comes_back_otherwise_is_refused(monkeypatch):
    """Wrong pixels never go out, whatever an encoder does."""
    samples = noise("<u2", (8, 8))
    wrong = samples.copy()
    wrong[3, 3] ^= 1
    encode = transcode._ENCODERS[J2K_LOSSLESS]
    monkeypatch.setitem(transcode._ENCODERS, J2K_LOSSLESS, lambda given, decoded: encode(wrong, decoded))
    with pytest.raises(UndecodablePixels, match="JPEG 2000 Lossless would not give this frame back"):
        encode_frame(samples, J2K_LOSSLESS, described(samples))


@pytest.mark.parametrize(
    ("samples", "uid"),
    [
        (noise("<u4", (8, 8)), JPEG_LS_LOSSLESS),
        (noise("<u4", (8, 8)), JPEG_LOSSLESS_SV1),
        (noise("<u4", (8, 8)), J2K_LOSSLESS),
        (noise("<u2", (8, 8)), JPEG_BASELINE),
        (np.zeros((8, 8), "<f4"), JPEG_LS_LOSSLESS),
        (noise("|u1", (8, 8)), "1.2.840.10008.1.2.4.91"),
    ],
)
def test_what_a_coding_cannot_hold_is_refused(samples, uid):
    with pytest.raises(UndecodablePixels, match="cannot be made"):
        encode_frame(samples, uid, described(samples))


BUNDLED = [
    "SC_rgb_rle_16bit.dcm",
    "SC_rgb_rle_32bit.dcm",
    "rtdose_1frame.dcm",
    "liver_1frame.dcm",
    "examples_palette.dcm",
]


@pytest.mark.parametrize("name", BUNDLED)
def test_pydicoms_own_files_in_every_form_they_can_have(name):
    """16 and 32 bits, colour, packed bits, palette."""
    dataset, uid, pixels = open_file(get_testdata_file(name))
    samples = decode_frame(frames_of(dataset, uid, pixels)[0], uid, pixels)
    decoded = decoded_description(uid, pixels)
    for target in servable(uid, pixels).made:
        if transfer_syntax(target).lossless:
            assert np.array_equal(returned(encode_frame(samples, target, decoded), target, decoded), samples)


def test_the_corpus_in_every_form(corpus):
    """The first frame of each file, each distinct image once, against EXPECTED.json's hashes."""
    seen, made = set(), dict.fromkeys(CODED, 0)
    for entry in expected_entries():
        wanted = entry["frame_first_sha256"]
        if wanted in seen or entry["compare"] != "exact" or not entry["path"].endswith(".dcm"):
            continue
        seen.add(wanted)
        dataset, uid, pixels = open_file(corpus / entry["path"])
        if pixels.frame_length > _LARGEST:
            continue
        samples = decode_frame(frames_of(dataset, uid, pixels)[0], uid, pixels)
        decoded = decoded_description(uid, pixels)
        for target in servable(uid, pixels).made:
            if not transfer_syntax(target).lossless or target == HTJ2K_LOSSLESS:
                continue
            stream = encode_frame(samples, target, decoded)
            found = returned(stream, target, decoded)
            assert np.array_equal(found, samples), (entry["path"], target)
            masked = np.ascontiguousarray(mask_samples(found, pixels))
            assert hashlib.sha256(masked).hexdigest() == wanted, (entry["path"], target)
            if target in made:
                made[target] += 1
    assert min(count for uid, count in made.items() if uid != HTJ2K_LOSSLESS) > 50


def test_floats_and_packed_bits_are_only_decoded():
    floats = PixelDescription(4, 4, bits_allocated=32, keyword=FLOAT_PIXEL_DATA)
    bits = replace(floats, bits_allocated=1, keyword="PixelData")
    for pixels in (floats, bits):
        assert servable(RLE, pixels).made == (EXPLICIT_VR_LE,)


def test_descriptions_come_from_the_file():
    dataset, uid, pixels = open_file(get_testdata_file("SC_rgb_rle_16bit.dcm"))
    assert decoded_description(uid, pixels) == replace(describe(dataset), planar_configuration=0)
