"""Presentations are shared by frames that say the same, and known by frame and version."""

import orjson
import pytest

from dicomweb_gateway.imagesets.metadata import parse_document
from dicomweb_gateway.wado.presentations import Presentations
from tests.routes.archive import CT, image_set


@pytest.fixture
def documents():
    """`documents(number)` of a series whose third slice has another window than the first two."""
    tags = [
        {"RescaleSlope": "2", "WindowCenter": str(center), "WindowWidth": "80"} for center in (40, 40, 50)
    ]
    blob = image_set(CT, [{"tags": {**one, "ImageComments": str(n)}} for n, one in enumerate(tags)])
    document = parse_document(orjson.dumps(orjson.loads(blob)))
    return lambda number: document.find_instance(CT, f"{CT}.{number}")


def never():
    raise AssertionError("the metadata were read again")


def test_slices_that_say_the_same_share_one(documents):
    known = Presentations()
    one, two, three = (known.of(n, lambda n=n: documents(n), 0, False) for n in (1, 2, 3))
    assert one is two
    assert (one.slope, one.windows[0].center, three.windows[0].center) == (2, 40, 50)


def test_a_known_frame_reads_no_metadata(documents):
    known = Presentations()
    one = known.of("frame", lambda: documents(1), 0, False)
    assert known.of("frame", never, 0, False) is one
    with pytest.raises(AssertionError, match="again"):
        known.of("frame of another version", never, 0, False)


def test_what_was_forgotten_is_read_again(documents):
    known = Presentations(capacity=1)
    known.of(1, lambda: documents(1), 0, False)
    known.of(3, lambda: documents(3), 0, False)
    assert known.of(1, lambda: documents(1), 0, False).windows[0].center == 40
