"""Corpus files through import, HealthImaging's metadata and the pipeline, against pydicom's functions."""

import numpy as np
import orjson
import pytest

from dicomweb_gateway.emulator.blobs import blob_path
from dicomweb_gateway.emulator.ingest.instance import ImportedInstance, import_file
from dicomweb_gateway.imagesets.dataset import frame_dataset
from dicomweb_gateway.imagesets.metadata import InstanceDocument, parse_document
from dicomweb_gateway.pixels.decoders import decode_frame, decoded_photometric
from dicomweb_gateway.pixels.options import RenderOptions
from dicomweb_gateway.pixels.presentation import DISPLAYED, presentation_of
from dicomweb_gateway.pixels.render import render
from tests.pixels.reference import reference_image
from tests.pixels.samples_of_files import expected_entries, open_file

STORE, HTJ2K = "0" * 32, "1.2.840.10008.1.2.4.202"
NO_REFERENCE = {
    "rt/rtimage-implicit-16bit.dcm": "pydicom refuses the LINEAR window below 1; we take it as exact",
    "us/us-palette-ob-bigendian.dcm": "pydicom takes the palette's big-endian bytes for little-endian ones",
}
NOT_IMPORTED = {
    *(
        f"sc/jpegls-{name}.dcm"
        for name in ("15of16-signed", "7of8", "near-45x10-8bit", "rgb-ilv0", "rgb-ilv1")
    ),
    "htj2k/sc-htj2k-lossless-201-rgb.dcm",
}
"""Files without a study; test_render.py shows them."""

LARGEST = 4 << 20
ENTRIES = sorted(
    entry["path"]
    for entry in expected_entries()
    if entry["path"].endswith(".dcm") and np.prod(entry["frame_shape"]) * 2 < LARGEST
)


def document_of(imported: ImportedInstance) -> InstanceDocument:
    """The instance in a metadata document of its own."""
    body = {
        "DatastoreID": STORE,
        "ImageSetID": STORE,
        "Patient": {"DICOM": orjson.loads(imported.patient)},
        "Study": {
            "DICOM": orjson.loads(imported.study),
            "Series": {
                "s": {
                    "DICOM": orjson.loads(imported.series),
                    "Instances": {"i": orjson.loads(imported.instance)},
                }
            },
        },
    }
    found = parse_document(orjson.dumps(body)).find_instance("s", "i")
    assert found is not None
    return found


@pytest.mark.skipif(not ENTRIES, reason="no DICOM corpus here (set DICOM_CORPUS)")
@pytest.mark.parametrize("path", sorted(set(ENTRIES) - NO_REFERENCE.keys() - NOT_IMPORTED))
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_was_imported_renders_as_pydicom_renders_the_file(path, corpus, tmp_path):
    """P-1 to P-11: first and middle frame, every pixel within one grey level."""
    imported = import_file(str(corpus / path), tmp_path, STORE, HTJ2K)
    document = document_of(imported)
    dataset, file_uid, _ = open_file(corpus / path)
    data = blob_path(tmp_path, imported.blob).read_bytes()
    for index in sorted({0, (len(imported.frames) - 1) // 2}):
        place = imported.frames[index]
        coded = data[place.offset : place.offset + place.length]
        uid, pixels = document.transfer_syntax_uid, document.pixels
        image = render(
            decode_frame(coded, uid, pixels),
            pixels,
            decoded_photometric(uid, pixels),
            presentation_of(frame_dataset(document, index, DISPLAYED), 0),
            RenderOptions(),
        )
        expected = reference_image(dataset, file_uid, index)
        assert image.shape == expected.shape
        assert np.abs(expected - image).max() <= 1
