"""The image sets of a series, and the dictionary: what pages need to find and to name things."""

import pytest

from tests.routes.archive import CT, OTHER, RGB, STORE, hex_id, path_of


def test_the_image_sets_of_a_series_are_told(get):
    found = get(f"{path_of(CT)}/image-sets")
    assert found.get_json() == [{"datastoreId": STORE, "imageSetId": hex_id("set", CT)}]
    metadata = get(f"/datastore/{STORE}/imageSet/{hex_id('set', CT)}/getImageSetMetadata")
    assert metadata.status_code == 200
    again = get(f"{path_of(CT)}/image-sets", If_None_Match=found.headers["ETag"])
    assert (again.status_code, again.get_data()) == (304, b"")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/aetitle/studies/{OTHER}/series/{CT}/image-sets", 404),
        (f"/aetitle/studies/{OTHER}/series/1.2.3.4/image-sets", 404),
        (f"/aetitle/studies/{OTHER}/series/x y/image-sets", 400),
        (f"{path_of(RGB, 1)}/image-sets", 404),
    ],
)
def test_what_is_not_there(get, path, status):
    assert get(path).status_code == status


def test_the_dictionary_names_attributes(get):
    found = get("/dictionary")
    rows = found.get_json()
    assert rows["00100010"] == ["PatientName", "Patient's Name", "PN"]
    assert len(rows) > 4000
    assert all(len(tag) == 8 and tag == tag.upper() for tag in rows)
    assert get("/dictionary", If_None_Match=found.headers["ETag"]).status_code == 304
