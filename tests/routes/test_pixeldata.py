"""All frames below a study, series or instance (dicomweb.md W-R9)."""

import pytest

from dicomweb_gateway.errors import CorruptFrame
from tests.routes.archive import CT, OTHER, SR, STUDY, parts_of, path_of, slice_pixels

STORED = "multipart/related; type=application/octet-stream; transfer-syntax=*"
ELE = 'multipart/related; type="application/octet-stream"; transfer-syntax=1.2.840.10008.1.2.1'


@pytest.mark.parametrize("path", [f"/aetitle/studies/{STUDY}", path_of(CT)])
def test_every_frame_comes_in_order(get, path):
    parts = parts_of(get(f"{path}/pixeldata"))
    assert [payload for _, payload in parts] == [slice_pixels(n).astype("<i2").tobytes() for n in (1, 2, 3)]
    assert [head["Content-Location"] for head, _ in parts] == [
        f"{path_of(CT, n)}/frames/1" for n in (1, 2, 3)
    ]


def test_of_an_instance_it_is_its_frames(get):
    url = path_of(CT, 2)
    assert get(f"{url}/pixeldata", ELE).data == get(f"{url}/frames", ELE).data


def test_each_part_says_its_own_coding(fresh):
    answer = fresh.app.test_client().get(f"/aetitle/studies/{OTHER}/pixeldata", headers={"Accept": STORED})
    parts = parts_of(answer)
    types = {head["Content-Type"] for head, _ in parts}
    assert "image/jphc; transfer-syntax=1.2.840.10008.1.2.4.202" in types
    assert "image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50" in types
    stored = {key: bytes(data) for key, data in fresh.frames.frames.items()}
    (jpeg,) = [payload for head, payload in parts if head["Content-Type"].startswith("image/jpeg")]
    assert jpeg in stored.values()


def test_a_damaged_instance_is_left_out_the_next_time(fresh):

    fresh.frames.frames[fresh.key(CT, 1)] = CorruptFrame("its CRC-32 is wrong")
    answer = fresh.app.test_client().get(f"{path_of(CT)}/pixeldata", headers={"Accept": STORED})
    assert answer.status_code == 206
    assert f"{CT}.1" in answer.headers["Warning"]
    assert len(parts_of(answer)) == 2


def test_nothing_without_pixels(get):
    answer = get(f"{path_of(SR)}/pixeldata")
    assert answer.status_code == 404
    assert "no pixel data" in answer.json["message"] or "pixel data" in answer.json["message"]


def test_what_cannot_be_made_is_406(get):
    answer = get(f"{path_of(CT)}/pixeldata", 'multipart/related; type="image/jxl"')
    assert answer.status_code == 406


def test_an_etag_is_revalidated(get):
    url = f"{path_of(CT)}/pixeldata"
    etag = get(url).headers["ETag"]
    assert get(url, If_None_Match=etag).status_code == 304
    assert get(url, STORED).headers["ETag"] != etag
