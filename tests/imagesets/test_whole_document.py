"""A split document gives the whole back: in memory, from disk, and where it had to be parsed to be split."""

import orjson
import pytest

from dicomweb_gateway.imagesets.documents import DocumentCache
from dicomweb_gateway.imagesets.split_document import split_document
from dicomweb_gateway.imagesets.store import ImageSetRef
from dicomweb_gateway.imagesets.whole_document import pieces_of_split
from tests.imagesets.documents import IMAGE_SET, INSTANCE, SERIES, STORE, CountingStore, blob

PLAIN = blob()
LARGE = blob({"ImageComments": "x" * (3 << 20)})
ODD = PLAIN.replace(INSTANCE.encode(), b"of a strange kind")
EMPTY = orjson.dumps(
    {
        "DatastoreID": STORE,
        "ImageSetID": IMAGE_SET,
        "Study": {"DICOM": {}, "Series": {SERIES: {"DICOM": {}, "Instances": {}}}},
    }
)
SPACED = PLAIN.replace(b":", b" :\n ")
ONE = ImageSetRef(STORE, IMAGE_SET, "1")


@pytest.mark.parametrize(
    "text", [PLAIN, LARGE, ODD, EMPTY, SPACED], ids=["plain", "large", "odd", "empty", "spaced"]
)
@pytest.mark.parametrize("on_disk", [True, False])
def test_the_whole_comes_back(tmp_path, text, on_disk):
    folder = tmp_path / "disk"
    if not on_disk:
        folder.write_bytes(b"no folder")
    cache = DocumentCache(CountingStore(tmp_path / "asked", {"1": text}), folder)
    for _ in range(2):
        assert orjson.loads(b"".join(cache.opened(ONE).pieces())) == orjson.loads(text)
    assert b"".join(pieces_of_split(split_document(LARGE))) == LARGE
