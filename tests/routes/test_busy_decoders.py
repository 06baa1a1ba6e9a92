"""Rendering that is asked too much of says so, and stored frames do not wait for it (R-11, R-12, C-7)."""

from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import replace

import pytest

from dicomweb_gateway.app import create_app
from dicomweb_gateway.index.reader import IndexReader
from dicomweb_gateway.pixels.turns import DecodeTurns
from dicomweb_gateway.wado.kept_pictures import KeptPictures
from tests.routes.archive import CT, RGB, build, path_of
from tests.web.rendering_archive import SCAN, series

STORED = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'


@pytest.fixture(scope="module")
def full_house(tmp_path_factory):
    return build(tmp_path_factory.mktemp("busy"), more=series())


@pytest.fixture
def busy(full_house):
    """`busy(turns, pictures)`: house and an app that decodes in these turns."""

    def made(turns, pictures=None):
        archive = replace(full_house.services.archive, turns=turns, pictures=pictures)
        return full_house, create_app(replace(full_house.services, archive=archive))

    return made


def test_stored_frames_are_served_while_64_renders_wait(busy):
    turns = DecodeTurns(at_once=1, most=20, patience=30)
    _, app = busy(turns)

    def ask(path, accept):
        response = app.test_client().get(path, headers={"Accept": accept})
        return response.status_code, response.headers.get("Retry-After"), response.get_data()

    renders = [f"{path_of(SCAN, 1)}/rendered?window={center},500,linear" for center in range(64)]
    with ThreadPoolExecutor(64) as threads:
        with turns.turn():
            asked = [threads.submit(ask, path, "image/jpeg") for path in renders]
            stored = [ask(f"{path_of(CT, number)}/frames/1", STORED) for number in (1, 2, 3)]
            # who finds no place within a second is refused
            refused, _ = wait(asked, 30, FIRST_COMPLETED)
            assert {one.result()[0] for one in refused} == {503}
        answers = [one.result(60) for one in asked]
    assert [status for status, _, _ in stored] == [200] * 3
    assert {status for status, _, _ in answers} == {200, 503}
    assert all(after for status, after, _ in answers if status == 503)
    assert sum(status == 200 for status, _, _ in answers) >= 19


@pytest.mark.parametrize("path", ["frames/1", "frames/1,2/rendered", "rendered", "thumbnail"])
def test_no_turn_is_503_before_the_answer_begins(busy, path):
    turns = DecodeTurns(at_once=1, most=1)
    _, app = busy(turns)
    with turns.turn():
        response = app.test_client().get(
            f"{path_of(RGB, 1)}/{path}?accept=*/*" if path != "frames/1" else f"{path_of(RGB, 1)}/{path}"
        )
    assert response.status_code == 503
    assert response.headers["Retry-After"]


def test_a_picture_is_decoded_once_and_anew_for_another_wish(busy, tmp_path):
    house, app = busy(DecodeTurns(), KeptPictures(tmp_path / "rendered", 1 << 24))
    client, base = app.test_client(), f"{path_of(CT, 1)}/rendered"
    first = client.get(base).get_data()
    fetched = len(house.frames.asked)
    assert client.get(base).get_data() == first
    assert client.get(f"{path_of(CT, 1)}/frames/1/rendered").get_data() == first
    assert len(house.frames.asked) == fetched
    others = [client.get(f"{base}?{query}").get_data() for query in ("quality=50", "window=0,9,sigmoid")]
    others += [client.get(f"{path_of(CT, 2)}/rendered").get_data()]
    assert len({first, *others}) == 4
    assert len(house.frames.asked) == fetched + 3


def test_another_version_of_the_image_set_is_another_picture(busy, tmp_path):
    """R-11, H-5: what was kept of the version before is not shown."""
    house, app = busy(DecodeTurns(), KeptPictures(tmp_path / "rendered", 1 << 24))
    client = app.test_client()
    client.get(f"{path_of(CT, 1)}/rendered")
    fetched = len(house.frames.asked)
    record = house.services.archive.index.instance(CT.rpartition(".")[0], CT, f"{CT}.1")
    newer = replace(record, image_set=replace(record.image_set, version_id="99"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(IndexReader, "instance", lambda reader, *path: newer)
        response = client.get(f"{path_of(CT, 1)}/rendered")
    assert response.status_code == 200
    assert len(house.frames.asked) == fetched + 1
