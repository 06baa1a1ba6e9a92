"""One file to frames and a document entry: made, bundled, cut, corpus files (healthimaging.md 2.4, 2.7)."""

import hashlib
import json
import random
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import orjson
import pytest
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate

from dicomweb_gateway.dicom.pixel_description import PixelDescription
from dicomweb_gateway.emulator.blobs import blob_path
from dicomweb_gateway.emulator.ingest.instance import ImportedInstance, import_file
from dicomweb_gateway.errors import UnreadableDicom
from dicomweb_gateway.pixels.decoders import decode_frame
from dicomweb_gateway.pixels.samples import mask_samples
from tests.emulator.files import ct_slice, save

STORE = "0" * 32
HTJ2K, J2K_LOSSLESS, ELE = "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.1"


def imported(path: Path, folder: Path, lossless: str = HTJ2K) -> ImportedInstance:
    return import_file(str(path), folder / "blobs", STORE, lossless)


def frames_of(instance: ImportedInstance, folder: Path) -> list[bytes]:
    if instance.blob is None:
        return []
    data = blob_path(folder / "blobs", instance.blob).read_bytes()
    return [data[f.offset : f.offset + f.length] for f in instance.frames]


def description_of(tags: dict, frames: int) -> PixelDescription:
    keyword = next((k for k in ("FloatPixelData", "DoubleFloatPixelData") if k in tags), "PixelData")
    return PixelDescription(
        rows=tags["Rows"],
        columns=tags["Columns"],
        samples_per_pixel=tags.get("SamplesPerPixel") or 1,
        bits_allocated=tags["BitsAllocated"],
        bits_stored=tags.get("BitsStored") or tags["BitsAllocated"],
        high_bit=tags.get("HighBit") or (tags.get("BitsStored") or tags["BitsAllocated"]) - 1,
        pixel_representation=tags.get("PixelRepresentation") or 0,
        photometric_interpretation=tags.get("PhotometricInterpretation") or "MONOCHROME2",
        planar_configuration=tags.get("PlanarConfiguration") or 0,
        number_of_frames=frames,
        keyword=keyword,
    )


def test_same_file_gives_the_same_frame_ids_and_another_store_gives_others(tmp_path):
    path = save(ct_slice(1), tmp_path / "1.dcm")
    once, again = imported(path, tmp_path), imported(path, tmp_path)
    assert [f.frame_id for f in once.frames] == [f.frame_id for f in again.frames]
    assert once.digest == again.digest
    other = import_file(str(path), tmp_path / "blobs", "1" * 32, HTJ2K)
    assert other.frames[0].frame_id != once.frames[0].frame_id


@pytest.mark.parametrize("lossless", [HTJ2K, J2K_LOSSLESS])
@pytest.mark.parametrize("dtype", ["u1", "<u2", "<i2", "<u4", "<i4"])
def test_full_range_integers_come_back_exactly(tmp_path, dtype, lossless):
    kind = np.dtype(dtype)
    limits = np.iinfo(kind)
    values = np.random.default_rng(7).integers(limits.min, limits.max, (40, 56), kind, endpoint=True)
    values[0, :2] = limits.min, limits.max
    bits = kind.itemsize * 8
    dataset = ct_slice(
        Rows=40,
        Columns=56,
        BitsAllocated=bits,
        BitsStored=bits,
        HighBit=bits - 1,
        PixelRepresentation=int(kind.kind == "i"),
    )
    dataset.add_new(0x7FE00010, "OW", values.tobytes())
    instance = imported(save(dataset, tmp_path / "1.dcm"), tmp_path, lossless)
    [frame] = frames_of(instance, tmp_path)
    document = orjson.loads(instance.instance)
    pixels = description_of(document["DICOM"], 1)
    assert np.array_equal(decode_frame(frame, instance.transfer_syntax_uid, pixels), values)
    [entry] = document["ImageFrames"]
    assert (entry["MinPixelValue"], entry["MaxPixelValue"]) == (limits.min, limits.max)
    assert entry["PixelDataChecksumFromBaseToFullResolution"][0]["Checksum"] == zlib.crc32(values.tobytes())


def test_floats_stay_native_and_the_document_names_their_element(tmp_path):
    values = np.linspace(-1, 1, 64 * 64, dtype="<f4").reshape(64, 64)
    dataset = ct_slice(PixelData=None, BitsAllocated=32)
    dataset.add_new(0x7FE00008, "OF", values.tobytes())
    instance = imported(save(dataset, tmp_path / "1.dcm"), tmp_path)
    document = orjson.loads(instance.instance)
    assert document["StoredTransferSyntaxUID"] == ELE
    assert document["DICOM"]["FloatPixelData"] is None
    assert document["ImageFrames"][0]["MinPixelValue"] is None
    assert frames_of(instance, tmp_path) == [values.tobytes()]


def test_bits_are_packed_frame_by_frame(tmp_path):
    bits = np.random.default_rng(1).integers(0, 2, (3, 5, 7), "u1")
    dataset = ct_slice(
        Rows=5,
        Columns=7,
        NumberOfFrames=3,
        BitsAllocated=1,
        BitsStored=1,
        HighBit=0,
        PixelRepresentation=0,
    )
    dataset.add_new(0x7FE00010, "OB", np.packbits(bits.reshape(-1), bitorder="little").tobytes() + b"\0")
    instance = imported(save(dataset, tmp_path / "1.dcm"), tmp_path)
    assert instance.transfer_syntax_uid == ELE
    expected = [np.packbits(frame.reshape(-1), bitorder="little").tobytes() for frame in bits]
    assert frames_of(instance, tmp_path) == expected


@pytest.mark.parametrize(
    ("name", "photometric"),
    [
        ("SC_rgb_rle_2frame.dcm", "RGB"),
        ("SC_ybr_full_422_uncompressed.dcm", "YBR_FULL"),
        ("examples_ybr_color.dcm", "YBR_FULL_422"),
        ("examples_palette.dcm", "PALETTE COLOR"),
    ],
)
def test_photometric_interpretation_tells_of_the_stored_frames(tmp_path, name, photometric):
    found = get_testdata_file(name, download=False)
    if found is None:
        pytest.skip(f"this pydicom does not bundle {name}")
    try:
        instance = imported(Path(found), tmp_path)
    except UnreadableDicom as error:
        pytest.skip(f"{name}: {error}")
    tags = orjson.loads(instance.instance)["DICOM"]
    assert tags["PhotometricInterpretation"] == photometric


@pytest.mark.parametrize("name", ["CT_small.dcm", "rtplan.dcm", "MR_small_RLE.dcm", "liver_1frame.dcm"])
def test_file_cut_anywhere_is_refused_or_whole_but_never_anything_else(tmp_path, name):
    data = Path(str(get_testdata_file(name, download=False))).read_bytes()
    for length in random.Random(name).sample(range(len(data)), 60):
        path = tmp_path / "cut.dcm"
        path.write_bytes(data[:length])
        with suppress(UnreadableDicom):
            instance = imported(path, tmp_path)
            declared = orjson.loads(instance.instance)["DICOM"].get("NumberOfFrames") or 1
            assert len(instance.frames) in (0, int(declared))


@pytest.mark.parametrize("name", ["CT_small.dcm", "JPEG2000.dcm", "MR_small_RLE.dcm", "reportsi.dcm"])
def test_damaged_file_raises_nothing_but_a_reason(tmp_path, name):
    data = bytearray(Path(str(get_testdata_file(name, download=False))).read_bytes())
    dice = random.Random(name)
    for _ in range(60):
        damaged = bytearray(data)
        for _ in range(8):
            damaged[dice.randrange(132, len(data))] = dice.randrange(256)
        path = tmp_path / "damaged.dcm"
        path.write_bytes(damaged)
        with suppress(UnreadableDicom):
            imported(path, tmp_path)


def test_corpus_frames_hash_to_what_is_expected(tmp_path, corpus):
    """Every file of EXPECTED.json that has its UIDs, so that it can be imported at all."""
    expected = json.loads((corpus / "EXPECTED.json").read_text())["entries"]
    wrong, compared = [], 0
    for entry in expected:
        path = corpus / entry["path"]
        if (
            entry["compare"] != "exact"
            or path.suffix != ".dcm"
            or "UID is missing" in refusal(path, tmp_path)
        ):
            continue
        instance = imported(path, tmp_path)
        frames = frames_of(instance, tmp_path)
        pixels = description_of(orjson.loads(instance.instance)["DICOM"], len(frames))
        hashes = [
            hashlib.sha256(
                mask_samples(decode_frame(f, str(instance.transfer_syntax_uid), pixels), pixels).tobytes()
            ).hexdigest()
            for f in (frames[0], frames[-1])
        ]
        compared += 1
        if (
            hashes != [entry["frame_first_sha256"], entry["frame_last_sha256"]]
            or len(frames) != entry["frames"]
        ):
            wrong.append(entry["path"])
    assert wrong == []
    assert compared >= 150


def refusal(path: Path, folder: Path) -> str:
    try:
        imported(path, folder)
    except UnreadableDicom as error:
        return str(error)
    return ""


def test_corpus_files_are_refused_for_these_reasons_only(tmp_path, corpus):
    paths = sorted(corpus.rglob("*.dcm"))
    reasons = {str(p.relative_to(corpus)): refusal(p, tmp_path) for p in paths}
    refused = {path: reason for path, reason in reasons.items() if reason}
    without_uid = {path for path, reason in refused.items() if "UID is missing" in reason}
    others = refused.keys() - without_uid
    assert all(path.startswith("broken/") for path in others), others
    assert len(paths) - len(refused) >= 265


def test_frames_that_cannot_be_decoded_are_kept_as_they_are(tmp_path):
    dataset = ct_slice(PixelData=None)
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.80"
    frame = b"\xff\xd8 this is no JPEG-LS \xff\xd9"
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].VR = "OB"
    instance = imported(save(dataset, tmp_path / "1.dcm"), tmp_path)
    assert instance.transfer_syntax_uid == "1.2.840.10008.1.2.4.80"
    assert [f.rstrip(b"\0") for f in frames_of(instance, tmp_path)] == [frame]
    assert "kept in its original transfer syntax" in instance.warnings[0]
    [entry] = orjson.loads(instance.instance)["ImageFrames"]
    assert (entry["MinPixelValue"], entry["MaxPixelValue"]) == (None, None)


def test_video_is_one_frame(tmp_path):
    dataset = ct_slice(PixelData=None, NumberOfFrames=25, SamplesPerPixel=3, BitsAllocated=8)
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.102"
    dataset.PixelData = encapsulate([b"video" * 100], fragments_per_frame=3)
    dataset["PixelData"].VR = "OB"
    instance = imported(save(dataset, tmp_path / "1.dcm"), tmp_path)
    assert frames_of(instance, tmp_path)[0].rstrip(b"\0") == b"video" * 100
    assert len(instance.frames) == 1
