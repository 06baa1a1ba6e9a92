"""Metadata over HTTP (dicomweb.md J-1 to J-9, J-20 to J-29, B-1)."""

import gzip
import json
from dataclasses import replace
from functools import partial
from xml.etree import ElementTree

import pytest

from dicomweb_gateway.dicom.transfer_syntax import HTJ2K_LOSSLESS_RPCL, JPEG_BASELINE
from dicomweb_gateway.dicom.xml_model import NAMESPACE
from dicomweb_gateway.errors import UpstreamTimeout
from dicomweb_gateway.imagesets.metadata import parse_document
from dicomweb_gateway.imagesets.store import ImageSetRef
from dicomweb_gateway.index.writer import IndexWriter
from tests.routes.archive import (
    BULK,
    CT,
    JPEG,
    OTHER,
    PDF,
    RGB,
    SEG,
    SR,
    STORE,
    STUDY,
    build,
    hex_id,
    image,
    lasting,
    parts_of,
    path_of,
    rgb_pixels,
)

NEW = f"{OTHER}.99"


@pytest.fixture
def get(get):
    """As a server does, it closes what it has sent."""
    return partial(get, buffered=True)


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


@pytest.mark.parametrize(
    ("told", "syntax", "shown"),
    [
        ("RGB", HTJ2K_LOSSLESS_RPCL, "RGB"),
        ("YBR_RCT", HTJ2K_LOSSLESS_RPCL, "RGB"),
        ("YBR_FULL_422", HTJ2K_LOSSLESS_RPCL, "YBR_FULL"),
        ("YBR_FULL", HTJ2K_LOSSLESS_RPCL, "YBR_FULL"),
        ("YBR_FULL_422", JPEG_BASELINE, "YBR_FULL_422"),
        ("YBR_ICT", "1.2.840.10008.1.2.4.91", "YBR_ICT"),
    ],
)
def test_colour_is_told_as_frames_go_out_not_as_the_file_was(tmp_path, told, syntax, shown):
    """What is lossless goes out decoded, colour by pixel; what is lossy as it is stored (W-2, W-6)."""
    tags = image(rgb_pixels(1), PhotometricInterpretation=told, PlanarConfiguration=1)
    tags |= {"ExtendedOffsetTable": "AAAAAAAAAAA=", "ExtendedOffsetTableLengths": "AAAAAAAAAAA="}
    more = {NEW: ([{"tags": tags, "syntax": syntax, "frames": [b"not looked at"]}], {})}
    house = build(tmp_path, more=more)
    (found,) = read(house.app.test_client().get(f"{path_of(NEW, 1)}/metadata"))
    assert found["00280004"]["Value"] == [shown]
    assert found["00280006"]["Value"] == [0]
    assert not {"7FE00001", "7FE00002"} & set(found)


def test_grey_images_have_no_planes(get):
    (found,) = read(get(f"{path_of(CT, 1)}/metadata"))
    assert "00280006" not in found


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


XML = 'multipart/related; type="application/dicom+xml"'
SERIES = f"{path_of(CT)}/metadata"


@pytest.fixture
def client(fresh):
    """As a server does, it closes what it has sent."""
    client = fresh.app.test_client()
    client.open = partial(client.open, buffered=True)
    return client


def lose_documents(fresh):
    """Whatever still asks for metadata documents fails from now on."""
    for name in fresh.image_sets.documents:
        fresh.services.archive.documents.forget(ImageSetRef(STORE, name, "1"))
        fresh.image_sets.documents[name] = UpstreamTimeout("late")


@pytest.mark.parametrize("accept", ["application/dicom+json", XML])
@pytest.mark.parametrize("path", [SERIES, f"/aetitle/studies/{STUDY}/metadata"])
def test_a_warm_answer_is_the_cold_one_and_asks_nobody(fresh, client, accept, path):
    asked = [{"Accept": accept}, {"Accept": accept, "Accept-Encoding": "gzip"}]
    cold = [client.get(path, headers=headers) for headers in asked]
    lose_documents(fresh)
    warm = [client.get(path, headers=headers) for headers in asked]
    for before, after in zip(cold, warm, strict=True):
        assert after.status_code == 200
        assert after.get_data() == before.get_data()
        assert lasting(after) == lasting(before)
    assert gzip.decompress(warm[1].get_data()) == warm[0].get_data()
    for headers, answer in zip(asked, warm, strict=True):
        head = client.head(path, headers=headers)
        assert (head.get_data(), lasting(head)) == (b"", lasting(answer))
        same = client.get(path, headers={**headers, "If-None-Match": answer.headers["ETag"]})
        assert (same.status_code, same.get_data()) == (304, b"")


def test_instances_are_made_anew(fresh, client):
    client.get(f"{path_of(CT, 1)}/metadata")
    lose_documents(fresh)
    assert client.get(f"{path_of(CT, 1)}/metadata").status_code == 504


def test_an_answer_with_links_to_the_host_header_is_not_kept(fresh):
    services = fresh.services
    config = replace(services.config, public_url=None)
    fresh.app.extensions["dicomweb_gateway"] = replace(services, config=config, ready=None)
    client = fresh.app.test_client()
    for host in ("localhost", "127.0.0.1"):
        answer = client.get(SERIES, headers={"Host": host})
        assert answer.get_json()[0]["7FE00010"]["BulkDataURI"].startswith(f"http://{host}:8080/")


@pytest.mark.parametrize("damage", [lambda data: data[:-5], lambda data: data[:60] + b"!" + data[61:]])
def test_a_damaged_answer_is_made_anew(client, tmp_path, damage):
    before = client.get(SERIES).get_data()
    (file,) = (tmp_path / "ready").rglob("*.gz")
    file.write_bytes(damage(file.read_bytes()))
    assert client.get(SERIES).get_data() == before


def test_what_fails_half_way_is_not_kept(fresh, client, tmp_path):
    good = dict(fresh.image_sets.documents)
    fresh.image_sets.documents[hex_id("set", SR)] = UpstreamTimeout("late")
    assert client.get(f"/aetitle/studies/{STUDY}/metadata").status_code == 504
    assert list((tmp_path / "ready").rglob("*.gz*")) == []
    fresh.image_sets.documents.update(good)
    assert len(read(client.get(f"/aetitle/studies/{STUDY}/metadata"))) == 4


def test_a_client_that_leaves_keeps_nothing_half(fresh, tmp_path, monkeypatch):
    monkeypatch.setattr("dicomweb_gateway.web.responses._GATHERED", 10)
    with fresh.app.test_request_context(SERIES):
        response = fresh.app.full_dispatch_request()
    pieces = response.iter_encoded()
    next(iter(pieces))
    response.close()
    assert list((tmp_path / "ready").rglob("*.gz*")) == []


def test_an_image_set_without_known_version_has_the_tag_of_its_document(fresh, client, monkeypatch):
    index = fresh.services.archive.index
    unknown = ImageSetRef(STORE, hex_id("set", CT))
    outlines = [outline._replace(image_set=unknown) for outline in index.outlines(STUDY, CT)]
    monkeypatch.setattr(index, "image_sets", lambda *_: [unknown])
    monkeypatch.setattr(index, "outlines", lambda *_: iter(outlines))
    first = client.get(SERIES)
    assert client.get(SERIES).headers["ETag"] == first.headers["ETag"]
    changed = fresh.image_sets.documents[hex_id("set", CT)].replace(b"MAKER", b"OTHER")
    fresh.image_sets.documents[hex_id("set", CT)] = changed
    fresh.services.archive.documents.forget(unknown)
    again = client.get(SERIES, headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 200
    assert again.get_json()[0]["00090010"]["Value"] == ["OTHER"]


@pytest.mark.parametrize(("path", "count"), [(f"{path_of(CT, 2)}/metadata", 1), (SERIES, 3)])
def test_metadata_as_xml(get, path, count):
    """J-7: a Native DICOM Model per instance (PS3.19 A.1), in the order of the JSON."""
    parts = parts_of(get(path, XML))
    objects = read(get(path))
    assert len(parts) == len(objects) == count
    for (head, payload), expected in zip(parts, objects, strict=True):
        assert head["Content-Type"] == "application/dicom+xml"
        attributes = list(ElementTree.fromstring(payload))
        assert [one.get("tag") for one in attributes] == list(expected)
        found = {one.get("tag"): one for one in attributes}
        bulk = found["7FE00010"].find(f"{{{NAMESPACE}}}BulkData")
        assert bulk.get("uri") == expected["7FE00010"]["BulkDataURI"]
        assert found["00091002"].get("privateCreator") == "MAKER"
        assert found["00091002"].find(f"{{{NAMESPACE}}}InlineBinary").text == "AAEC"
        items = found["00400275"].findall(f"{{{NAMESPACE}}}Item")
        assert [(item.get("number"), len(item)) for item in items] == [("1", 0), ("2", 2)]


def test_json_is_first_where_both_are_taken(get):
    assert get(SERIES, f"application/dicom+json, {XML}").content_type == "application/dicom+json"
    assert get(SERIES, f"{XML}, application/dicom+json; q=0.5").content_type.startswith("multipart/related")
