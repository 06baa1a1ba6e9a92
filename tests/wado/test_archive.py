"""Index and documents together, and what happens when HealthImaging lost something (healthimaging.md 6.3)."""

import pytest

from dicomweb_gateway.errors import ResourceNotFound, UpstreamNotFound, UpstreamTimeout
from dicomweb_gateway.wado.archive import document_of
from dicomweb_gateway.wado.frames import stored_frames, wanted_frames
from tests.routes.archive import CT, RGB, SR, hex_id, image_set


def find(house, series=CT):
    return house.services.archive.index.instance(series.rpartition(".")[0], series, f"{series}.1")


def test_the_document_of_a_record(archive, record):
    assert document_of(archive, record(CT, 2)).instance_uid == f"{CT}.2"


def test_an_image_set_that_is_gone_makes_its_rows_stale(fresh):
    found = find(fresh)
    fresh.image_sets.documents.pop(hex_id("set", CT))
    with pytest.raises(UpstreamNotFound):
        document_of(fresh.services.archive, found)
    with pytest.raises(ResourceNotFound):
        find(fresh)
    assert find(fresh, SR).instance_uid == f"{SR}.1"


def test_a_frame_that_is_gone_makes_its_rows_stale(fresh):
    found = find(fresh)
    fresh.frames.frames[fresh.key(CT)] = UpstreamNotFound("gone")
    with pytest.raises(UpstreamNotFound):
        list(stored_frames(fresh.services.archive, found, found.frames))
    with pytest.raises(ResourceNotFound):
        find(fresh)


def test_a_failure_makes_nothing_stale(fresh):
    found = find(fresh)
    fresh.image_sets.documents[hex_id("set", CT)] = UpstreamTimeout("late")
    with pytest.raises(UpstreamTimeout):
        document_of(fresh.services.archive, found)
    assert find(fresh) == found


def test_an_instance_that_left_its_document_is_not_found(fresh):
    found = find(fresh)
    fresh.image_sets.documents[hex_id("set", CT)] = image_set(CT, [])
    with pytest.raises(ResourceNotFound, match="no longer"):
        document_of(fresh.services.archive, found)


@pytest.mark.parametrize(("numbers", "expected"), [((), [1, 2]), ((2,), [2]), ((2, 1), [2, 1])])
def test_wanted_frames_keep_the_order_asked(house, record, numbers, expected):
    found = wanted_frames(record(RGB), numbers)
    assert [frame.key for frame in found] == [house.key(RGB, 1, number) for number in expected]


@pytest.mark.parametrize(
    ("series", "numbers", "words"), [(RGB, (1, 3), "2 frames"), (CT, (2,), "1 frame$"), (SR, (), "no pixel")]
)
def test_frames_that_are_not_there(record, series, numbers, words):
    with pytest.raises(ResourceNotFound, match=words):
        wanted_frames(record(series), numbers)
