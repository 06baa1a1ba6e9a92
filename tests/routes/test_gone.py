"""What was deleted from HealthImaging not long ago answers 410, not 404 (dicomweb.md W-10)."""

from dicomweb_gateway.index.indexer import remove_image_set
from tests.routes.archive import SR, STORE, STUDY, hex_id, path_of


def test_410_below_a_deleted_series(fresh):
    client = fresh.app.test_client()
    paths = [f"{path_of(SR, 1)}/metadata", f"{path_of(SR)}/metadata", path_of(SR, 1)]
    assert [client.get(path).status_code for path in paths] == [200, 200, 200]
    remove_image_set(fresh.engine, STORE, hex_id("set", SR))
    fresh.services.archive.index._hot.clear()
    fresh.services.archive.index._sets.clear()
    answers = [client.get(path) for path in paths]
    assert [answer.status_code for answer in answers] == [410, 410, 410]
    assert SR in answers[0].json["message"]
    assert client.get(f"/aetitle/studies/{STUDY}/metadata").status_code == 200
    assert client.get(f"{path_of(SR)}9/metadata").status_code == 404
