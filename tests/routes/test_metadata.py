"""Metadata over HTTP (dicomweb.md J-1 to J-9, J-20 to J-29, B-1)."""

import gzip
import json

import pytest

from dicomweb_gateway.imagesets.metadata import parse_document
from dicomweb_gateway.index.writer import IndexWriter
from tests.routes.archive import BULK, CT, JPEG, OTHER, PDF, RGB, SEG, SR, STUDY, hex_id, path_of


def read(response):
    assert response.status_code == 200
    assert response.content_type == "application/dicom+json"
    return json.loads(response.get_data(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"{path_of(CT, 2)}/metadata", [f"{CT}.2"]),
        (f"{path_of(CT)}/metadata", [f"{CT}.1", f"{CT}.2", f"{CT}.3"]),
        (f"/aetitle/studies/{STUDY}/metadata", [f"{CT}.1", f"{CT}.2", f"{CT}.3", f"{SR}.1"]),
    ],
)
def test_an_array_in_viewing_order(get, path, expected):
    assert [item["00080018"]["Value"][0] for item in read(get(path))] == expected


def keys_ascend(dataset):
    assert list(dataset) == sorted(dataset)
    for element in dataset.values():
        assert len(element["vr"]) == 2
        assert len({"Value", "BulkDataURI", "InlineBinary"} & set(element)) <= 1
        for item in element.get("Value", []) if element["vr"] == "SQ" else []:
            keys_ascend(item)


@pytest.mark.parametrize("study", [STUDY, OTHER])
def test_the_model_holds_at_every_level(get, study):
    for dataset in read(get(f"/aetitle/studies/{study}/metadata")):
        keys_ascend(dataset)
        assert all(len(key) == 8 and key == key.upper() for key in dataset)
        # J-2: no group 2, no group lengths
        assert not [key for key in dataset if key.startswith("0002") or key.endswith("0000")]


@pytest.fixture
def ct(get):
    (found,) = read(get(f"{path_of(CT, 1)}/metadata"))
    return found


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("00080005", {"vr": "CS", "Value": ["ISO_IR 192"]}),
        ("00080008", {"vr": "CS", "Value": ["ORIGINAL", "PRIMARY", None, "AXIAL"]}),
        ("00083002", {"vr": "UI", "Value": ["1.2.840.10008.1.2.4.202"]}),
        ("00080050", {"vr": "SH"}),
        ("00080060", {"vr": "CS", "Value": ["CT"]}),
        ("00090010", {"vr": "LO", "Value": ["MAKER"]}),
        ("00091002", {"vr": "OB", "InlineBinary": "AAEC"}),
        ("00100010", {"vr": "PN", "Value": [{"Alphabetic": "Müller^Jörg"}]}),
        ("00100020", {"vr": "LO", "Value": ["P1"]}),
        ("00200012", {"vr": "IS"}),
        ("00280010", {"vr": "US", "Value": [96]}),
        ("00281053", {"vr": "DS", "Value": [1]}),
    ],
)
def test_elements(ct, tag, expected):
    assert ct[tag] == expected


@pytest.mark.parametrize(
    ("series", "tag", "vr"),
    [(CT, "7FE00010", "OW"), (JPEG, "7FE00010", "OB"), (RGB, "7FE00010", "OB"), (SEG, "7FE00010", "OW")],
)
def test_pixel_data_is_bulk_data(get, series, tag, vr):
    (found,) = read(get(f"{path_of(series, 1)}/metadata"))
    url = f"http://gw:1{path_of(series, 1)}/bulkdata/{tag}"
    assert found[tag] == {"vr": vr, "BulkDataURI": url}
    assert get(url.removeprefix("http://gw:1")).status_code == 200


@pytest.mark.parametrize("series", [SR, PDF])
def test_instances_without_pixels_have_none(get, series):
    (found,) = read(get(f"{path_of(series, 1)}/metadata"))
    assert "7FE00010" not in found


def bulk_uris(dataset):
    for element in dataset.values():
        if "BulkDataURI" in element:
            yield element["BulkDataURI"]
        for item in element.get("Value", []) if element["vr"] == "SQ" else []:
            yield from bulk_uris(item)


def test_every_bulk_data_uri_resolves(get, ct):
    uris = [uri for uri in bulk_uris(ct) if not uri.endswith("7FE00010")]
    assert [uri.partition("/bulkdata/")[2] for uri in uris] == ["00091001", "00400275/2/00091001"]
    for uri in uris:
        assert get(uri.removeprefix("http://gw:1"), "application/octet-stream").get_data() == BULK


def test_compressed_when_taken(get):
    plain, packed = get(f"{path_of(CT)}/metadata"), get(f"{path_of(CT)}/metadata", Accept_Encoding="gzip")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.get_data()) == plain.get_data()
    assert packed.headers["ETag"] != plain.headers["ETag"]
    assert {"Accept", "Accept-Encoding"} <= set(plain.vary)


def test_links_stand_below_the_base_path_of_the_request(get):
    path = f"{path_of(CT, 1)}/metadata".replace("/aetitle", "/dicomweb")
    (found,) = read(get(path))
    assert found["7FE00010"]["BulkDataURI"].startswith("http://gw:1/dicomweb/")


@pytest.mark.parametrize("accept", ["application/dicom+xml", "application/dicom", "image/png"])
def test_types_that_cannot_be_served(get, accept):
    response = get(f"{path_of(CT)}/metadata", accept)
    assert response.status_code == 406
    assert "application/dicom+json" in response.get_json()["message"]


def test_a_new_version_is_a_new_answer(fresh):
    client = fresh.app.test_client()
    path = f"{path_of(CT, 1)}/metadata"
    etag = client.get(path).headers["ETag"]
    changed = fresh.image_sets.documents[hex_id("set", CT)].replace(b"MAKER", b"OTHER")
    fresh.image_sets.documents[hex_id("set", CT)] = changed
    writer = IndexWriter(str(fresh.engine.url))
    writer.put(parse_document(changed), version=2, is_primary=True, updated_at=None)
    fresh.services.archive.index._hot.clear()
    again = client.get(path, headers={"If-None-Match": etag})
    assert again.status_code == 200
    assert again.get_json()[0]["00090010"]["Value"] == ["OTHER"]
