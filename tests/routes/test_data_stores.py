"""AHI_DATASTORE_IDS as a lock: what lies in another data store is a 404 on every address."""

import pytest

from tests.routes.archive import CT, PDF, SR, STORE, STUDY, build, path_of

INSTANCE = path_of(CT, 1)
PATHS = [
    f"/aetitle/studies/{STUDY}",
    f"/aetitle/studies/{STUDY}/metadata",
    f"/aetitle/studies/{STUDY}/rendered",
    f"/aetitle/studies/{STUDY}/thumbnail",
    path_of(CT),
    f"{path_of(CT)}/metadata",
    f"{path_of(CT)}/rendered",
    f"{path_of(CT)}/thumbnail",
    INSTANCE,
    f"{INSTANCE}/metadata",
    f"{INSTANCE}/frames",
    f"{INSTANCE}/frames/1",
    f"{INSTANCE}/frames/1/rendered",
    f"{INSTANCE}/frames/1/thumbnail",
    f"{INSTANCE}/bulkdata/00091001",
    f"{INSTANCE}/rendered",
    f"{INSTANCE}/thumbnail",
    path_of(SR, 1),
    f"{path_of(PDF, 1)}/bulkdata/00420011",
]


@pytest.fixture(scope="module")
def allowed(tmp_path_factory):
    return build(tmp_path_factory.mktemp("allowed"), frozenset({STORE, "e" * 32}))


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    return build(tmp_path_factory.mktemp("locked"), frozenset({"e" * 32}))


def tlm(house, method):
    key = house.key(CT)
    address = f"/datastore/{key.datastore_id}/imageSet/{key.image_set_id}/getImageFrame"
    client = house.app.test_client()
    if method == "GET":
        return client.get(f"{address}?imageFrameId={key.frame_id}")
    return client.post(address, json={"imageFrameId": key.frame_id})


@pytest.mark.parametrize("path", PATHS)
def test_another_data_store_is_a_404(locked, allowed, path):
    assert allowed.app.test_client().get(path).status_code == 200
    assert locked.app.test_client().get(path).status_code == 404
    assert locked.frames.asked == locked.frames.prefetched == []


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_data_store_is_a_404_on_healthimagings_own_address(locked, allowed, method):
    assert tlm(allowed, method).status_code == 200
    assert tlm(locked, method).status_code == 404
    assert locked.frames.asked == []


@pytest.mark.parametrize("path", ["studies", "series", "instances", f"studies/{STUDY}/series"])
def test_searches_show_nothing_of_another_data_store(locked, allowed, path):
    shown = allowed.app.test_client().get(f"/aetitle/{path}")
    assert shown.status_code == 200
    assert shown.get_json()
    hidden = locked.app.test_client().get(f"/aetitle/{path}")
    assert (hidden.status_code, hidden.get_json()) == (200, [])
