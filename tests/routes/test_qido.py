"""The searches over HTTP (dicomweb.md C-4, C-9, Q-40 to Q-52, L-1, L-2, L-11, L-15); see tests/index too."""

import gzip
from datetime import timedelta, timezone
from email.parser import BytesParser
from email.policy import HTTP
from xml.etree import ElementTree

import pytest
from sqlalchemy import text

from dicomweb_gateway.dicom.xml_model import NAMESPACE
from tests.routes.archive import CT, OTHER, STUDY, build, path_of

NATIVE = f"{{{NAMESPACE}}}"
L1 = (
    "/aetitle/studies?limit=101&offset=0&fuzzymatching=false"
    "&includefield=00081030%2C00080060%2C00080090%2C00100030"
)
L15_FIELDS = (
    "00080020,00080030,00080050,00080061,00080090,00100010,00100020,00100021,00100030,00100040,"
    "0020000D,00200010,00081030"
)


def uids(response, tag="0020000D"):
    assert response.status_code == 200, response.get_data()
    return sorted(row[tag]["Value"][0] for row in response.get_json())


SEARCHES = [
    ("L-1 OHIF", L1, [STUDY, OTHER]),
    ("L-1 by name", f"{L1}&PatientName=*ller*", [STUDY, OTHER]),
    ("L-1 by id", f"{L1}&00100020=*P1*", [STUDY, OTHER]),
    ("L-1 by date", f"{L1}&StudyDate=20240311-20240312", [STUDY, OTHER]),
    ("L-1 by modality", f"{L1}&ModalitiesInStudy=SR%2CMR", [STUDY]),
    ("L-1 by UIDs", f"{L1}&StudyInstanceUID={STUDY}%5C{OTHER}", [STUDY, OTHER]),
    ("L-15 Weasis", f"/aetitle/studies?&includefield={L15_FIELDS}&00100021=", [STUDY, OTHER]),
    (
        "C-9 accept and charset are no keys",
        "/aetitle/studies?accept=application/dicom%2Bjson&charset=utf-8",
        [STUDY, OTHER],
    ),
    ("L-19 a plus read as space", "/aetitle/studies?accept=application/dicom+json", [STUDY, OTHER]),
    ("Q-41 no match", "/aetitle/studies?PatientID=nobody", []),
    ("Q-32 past the end", "/aetitle/studies?limit=10&offset=100", []),
]


@pytest.mark.parametrize(
    ("path", "expected"), [row[1:] for row in SEARCHES], ids=[row[0] for row in SEARCHES]
)
def test_clients_searches(get, path, expected):
    response = get(path, "application/dicom+json")
    assert uids(response) == expected
    assert response.content_type == "application/dicom+json"
    assert "Warning" not in response.headers


@pytest.mark.parametrize(
    ("path", "tag", "count"),
    [
        (f"/aetitle/studies/{STUDY}/series?includefield=0008103E%2C00080021", "0020000E", 2),
        ("/aetitle/series", "0020000E", 10),
        (f"/aetitle/series?0020000E={CT}", "0020000E", 1),
        (f"{path_of(CT)}/instances?limit=1&includefield=00080018", "00080018", 1),
        (f"{path_of(CT)}/instances", "00080018", 3),
        (f"/aetitle/studies/{STUDY}/instances", "00080018", 4),
        (f"/aetitle/instances?00080018={CT}.2", "00080018", 1),
        ("/aetitle/studies/9.9/series", "0020000E", 0),
        (f"/aetitle/studies/{OTHER}/series/{CT}/instances", "00080018", 0),
    ],
)
def test_levels_below_the_study(get, path, tag, count):
    assert len(uids(get(path), tag)) == count


@pytest.mark.parametrize("path", ["/aetitle/studies", "/aetitle/series", "/aetitle/instances"])
def test_retrieve_urls_can_be_fetched_as_they_stand(get, path):
    for row in get(path).get_json():
        assert list(row) == sorted(row)
        assert row["00081190"]["vr"] == "UR"
        (url,) = row["00081190"]["Value"]
        assert url.startswith("http://gw:1/aetitle/studies/")
        # metadata of whatever the address names: exactly one study, series or instance exists there
        assert get(f"{url.removeprefix('http://gw:1')}/metadata").status_code == 200


def test_an_empty_required_attribute_is_present(get):
    row = get("/aetitle/studies").get_json()[0]
    assert row["00080050"] == {"vr": "SH"}


@pytest.mark.parametrize(
    "accept", ["text/html", "application/dicom+xml", "multipart/related; type=image/jpeg", "image/jpeg"]
)
def test_types_that_cannot_be_served(get, accept):
    response = get("/aetitle/studies", accept)
    assert response.status_code == 406
    for offered in ("application/dicom+json", 'multipart/related; type="application/dicom+xml"'):
        assert offered in response.get_json()["message"]


XML = 'multipart/related; type="application/dicom+xml"'


def plain(attribute):
    """A DicomAttribute's values as JSON has them, numbers as text."""
    if attribute.get("vr") != "PN":
        return [value.text for value in attribute]
    return [
        {group.tag.removeprefix(NATIVE): "^".join(part.text for part in group) for group in name}
        for name in attribute
    ]


@pytest.mark.parametrize(
    "path", ["/aetitle/studies", f"/aetitle/studies/{STUDY}/series", "/aetitle/instances"]
)
def test_xml_says_what_json_says(get, path):
    rows = get(path).get_json()
    response = get(path, XML)
    assert response.status_code == 200
    assert response.headers["X-Total-Count"] == str(len(rows))
    head = f"Content-Type: {response.content_type}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + response.get_data())
    assert (message.get_content_type(), message.get_param("type")) == (
        "multipart/related",
        "application/dicom+xml",
    )
    parts = list(message.iter_parts())
    assert len(parts) == len(rows)
    for part, row in zip(parts, rows, strict=True):
        assert part.get_content_type() == "application/dicom+xml"
        body = part.get_payload(decode=True)
        assert len(body) == int(part["Content-Length"])
        model = ElementTree.fromstring(body)
        assert [one.get("tag") for one in model] == list(row)
        for one in model:
            values = row[one.get("tag")].get("Value", [])
            expected = [value if isinstance(value, dict) else str(value) for value in values]
            if one.get("vr") != "SQ":
                assert plain(one) == expected


def test_xml_is_revalidated_and_packed_like_json(get):
    first = get("/aetitle/instances", XML)
    assert first.headers["Cache-Control"] == "no-cache"
    again = get("/aetitle/instances", XML, If_None_Match=first.headers["ETag"])
    assert (again.status_code, again.get_data()) == (304, b"")
    assert first.headers["ETag"] != get("/aetitle/instances").headers["ETag"]
    packed = get("/aetitle/instances", XML, Accept_Encoding="gzip")
    assert gzip.decompress(packed.get_data()) == first.get_data()


def test_xml_of_no_match_has_no_body(get):
    response = get("/aetitle/studies?PatientID=nobody&NoSuchKey=1", XML)
    assert (response.status_code, response.get_data()) == (204, b"")
    assert "Content-Type" not in response.headers
    assert "NoSuchKey" in response.headers["Warning"]
    assert response.headers["X-Total-Count"] == "0"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("application/dicom+json, application/json", "application/dicom+json"),
        ("application/json", "application/json"),
        (
            "application/dicom+json, multipart/related; type=application/octet-stream; transfer-syntax=*",
            "application/dicom+json",
        ),
    ],
)
def test_both_names_of_json(get, accept, expected):
    assert get("/aetitle/studies", accept).content_type == expected


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("limit=x", "limit"),
        ("offset=-1", "offset"),
        ("StudyDate=2024", "StudyDate"),
        ("fuzzymatching=maybe", "fuzzymatching"),
    ],
)
def test_bad_parameters_are_named(get, query, name):
    response = get(f"/aetitle/studies?{query}")
    assert response.status_code == 400
    assert name.lower() in response.get_json()["message"].lower()


def test_unknown_parameters_are_warned_about(get):
    assert "NoSuchKey" in get("/aetitle/studies?NoSuchKey=1").headers["Warning"]


def test_warnings_cannot_outgrow_the_headers_nor_carry_lines(get):
    many = get("/aetitle/studies?" + "&".join(f"NoSuchKey{n}=1" for n in range(500)))
    assert many.status_code == 200
    assert 0 < len(many.headers.getlist("Warning")) <= 20
    hostile = get("/aetitle/studies?a%0d%0aSet-Cookie:%20x%E5%B1%B1=1")
    assert hostile.status_code == 200
    assert hostile.headers["Warning"].isascii()


def test_large_answers_are_compressed_for_who_takes_it(get):
    plain, packed = get("/aetitle/instances"), get("/aetitle/instances", Accept_Encoding="gzip, br")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.get_data()) == plain.get_data()
    assert int(packed.headers["Content-Length"]) == len(packed.get_data()) < len(plain.get_data())
    assert {"Accept", "Accept-Encoding"} <= set(packed.vary)
    assert "Content-Encoding" not in get("/aetitle/studies?PatientID=nobody", Accept_Encoding="gzip").headers


def test_a_page_that_the_server_cut_says_what_is_left(tmp_path):
    client = build(tmp_path, max_results=2).app.test_client()
    response = client.get("/aetitle/instances", headers={"Host": "localhost"})
    assert len(response.get_json()) == 2
    left = int(response.headers["X-Total-Count"]) - 2
    assert response.headers["Warning"] == (
        f'299 http://gw:1/aetitle: "There are {left} additional results that can be requested"'
    )


def test_no_match_can_be_told_without_a_body(tmp_path):
    client = build(tmp_path, empty_status=204).app.test_client()
    empty = client.get("/aetitle/studies?PatientID=nobody", headers={"Host": "localhost"})
    assert (empty.status_code, empty.get_data()) == (204, b"")
    assert client.get("/aetitle/studies", headers={"Host": "localhost"}).status_code == 200


def test_moments_are_in_the_configured_zone(tmp_path):
    house = build(tmp_path, zone=timezone(timedelta(hours=2)))
    with house.engine.begin() as connection:
        connection.execute(
            text("UPDATE gateway_instance SET acquisitiondatetime = '2024-07-01 10:00:00.000000'")
        )

    def count(value):
        path = f"/aetitle/instances?AcquisitionDateTime={value}&totalcount=true&limit=1"
        answer = house.app.test_client().get(path, headers={"Host": "localhost"})
        return int(answer.headers["X-Total-Count"])

    assert count("2024070112") > 0
    assert count("2024070110") == 0


def test_more_than_the_hard_cap_must_be_narrowed_or_paged(tmp_path):
    client = build(tmp_path, hard_max_results=2).app.test_client()

    def status(path):
        return client.get(path, headers={"Host": "localhost"}).status_code

    assert status("/aetitle/studies") == 200
    assert status("/aetitle/instances") == 413
    assert status("/aetitle/instances?limit=100") == 200
    assert status(f"/aetitle/instances?SOPInstanceUID={CT}.1") == 200


@pytest.mark.parametrize(("name", "total"), [("fuzzymatching", 2), ("fuzzyMatching", 2), ("limit", None)])
def test_names_are_found_by_the_beginnings_of_their_words(get, name, total):
    value = "1" if name == "limit" else "true"
    response = get(f"/aetitle/studies?PatientName=mull&{name}={value}")
    assert len(response.get_json()) == (total or 0)
    assert "Warning" not in response.headers


def test_names_are_found_by_their_sound_where_the_server_says_so(tmp_path, get):
    client = build(tmp_path, fuzzy_phonetic=True).app.test_client()

    def count(query):
        answer = client.get(f"/aetitle/studies?{query}", headers={"Host": "localhost"})
        return len(answer.get_json())

    assert count("PatientName=mueler&fuzzymatching=true") == 2
    assert count("PatientName=mueler") == 0
    assert get("/aetitle/studies?PatientName=mueler&fuzzymatching=true").get_json() == []


def test_keys_without_a_column(get):
    """Q-3: matched over what is stored, and refused where that says nothing."""
    kernel = get("/aetitle/instances?HighBit=15&limit=1").get_json()
    assert [row["00280010"]["Value"] for row in kernel] == [[96]]
    assert get("/aetitle/instances?HighBit=99").get_json() == []
    refused = get("/aetitle/studies?HighBit=15")
    assert refused.status_code == 400
    assert "HighBit" in refused.get_json()["message"]
