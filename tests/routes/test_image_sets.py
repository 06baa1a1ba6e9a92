"""HealthImaging's own operations here: who is shown what, and what never reaches HealthImaging (7.2)."""

import gzip
import itertools
from dataclasses import replace

import orjson
import pytest

from dicomweb_gateway.app import create_app
from dicomweb_gateway.errors import UpstreamInvalid, UpstreamNotFound
from dicomweb_gateway.imagesets.aws_errors import of_answer
from dicomweb_gateway.imagesets.documents import DocumentCache
from dicomweb_gateway.sight import NOTHING, Grant, Sight
from dicomweb_gateway.wado.kept_searches import KeptSearches
from tests.routes.archive import CT, JPEG, OTHER, SEG, STORE, STUDY, build, hex_id

SET, OTHERS = hex_id("set", CT), hex_id("set", JPEG)
ONE, UNSEEN = f"/datastore/{STORE}/imageSet/{SET}", f"/datastore/{STORE}/imageSet/{'0' * 32}"
SEARCH = f"/datastore/{STORE}/searchImageSets"


class Upstream:
    """In place of `PassedOn`; notes what it is asked."""

    def __init__(self):
        self.asked = []
        self.pages = {}
        self.error = None

    def image_set(self, ref, deadline=None):
        self.asked.append(ref)
        told = {"imageSetId": ref.image_set_id, "versionId": ref.version_id or "1", "isPrimary": True}
        return orjson.dumps(told)

    def search(self, datastore_id, criteria, query, deadline=None):
        self.asked.append((criteria, query))
        if self.error is not None:
            raise self.error
        return self.pages[query.get("nextToken")]


def row(image_set_id, **tags):
    return {
        "imageSetId": image_set_id,
        "version": 1,
        "DICOMTags": {"DICOMStudyInstanceUID": STUDY, "DICOMNumberOfStudyRelatedSeries": 2, **tags},
    }


def page(*rows, token=None):
    return orjson.dumps({"imageSetsMetadataSummaries": rows, "sort": None, "nextToken": token})


@pytest.fixture
def upstream():
    return Upstream()


@pytest.fixture
def house(fresh):
    return fresh


@pytest.fixture
def seen_by(house, upstream):
    """`seen_by(sight)`: a client of a gateway that shows so much."""

    def client(sight=None):
        services = replace(house.services, archive=replace(house.services.archive, passed_on=upstream))
        return create_app(services if sight is None else services.seen_by(sight)).test_client()

    return client


@pytest.fixture
def client(seen_by):
    return seen_by()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_metadata_come_in_gzip_and_those_of_a_version_never_change(client, house, method):
    latest = client.open(f"{ONE}/getImageSetMetadata", method=method)
    named = client.open(f"{ONE}/getImageSetMetadata?version=1", method=method)
    for answer in (latest, named):
        assert answer.status_code == 200
        assert answer.headers["Content-Encoding"] == "gzip"
        assert answer.content_type == "application/json"
        document = orjson.loads(house.image_sets.documents[SET])
        assert orjson.loads(gzip.decompress(answer.get_data())) == document
        assert int(answer.headers["Content-Length"]) == len(answer.get_data())
    assert named.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert latest.headers["Cache-Control"] == "public, no-cache"
    assert {"Authorization", "Cookie", "token"} <= set(named.headers["Vary"].split(", "))


def test_what_is_held_already_is_304(client):
    for path in (f"{ONE}/getImageSetMetadata", f"{ONE}/getImageSet"):
        tag = {"If-None-Match": client.get(path).headers["ETag"]}
        assert client.get(path, headers=tag).status_code == 304
        assert client.post(path, headers=tag).status_code == 200


def test_properties_are_healthimagings_own(client, upstream):
    answer = client.get(f"{ONE}/getImageSet?version=3")
    assert answer.get_json() == {"imageSetId": SET, "versionId": "3", "isPrimary": True}
    assert "immutable" not in answer.headers["Cache-Control"]
    assert client.post(f"{ONE}/getImageSet").get_json()["versionId"] == "1"
    assert [ref.version_id for ref in upstream.asked] == ["3", None]


@pytest.mark.parametrize(
    "path",
    [
        "getImageSetMetadata?version=0",
        "getImageSetMetadata?version=x",
        "getImageSet?version=-1",
        "getImageSet?version=1&version=2",
        "getImageSet?version=%D9%A3",
        "getImageSet?version=99999999999",
    ],
)
def test_junk_versions_are_400(client, upstream, path):
    answer = client.get(f"{ONE}/{path}")
    assert answer.status_code == 400
    assert answer.headers["x-amzn-ErrorType"] == "ValidationException"
    assert upstream.asked == []


@pytest.mark.parametrize("operation", ["getImageSet", "getImageSetMetadata"])
@pytest.mark.parametrize(
    ("image_set", "status"), [(UNSEEN, 404), (f"/datastore/{STORE}/imageSet/{'A' * 32}", 400)]
)
def test_what_the_index_does_not_know_is_not_asked(client, upstream, operation, image_set, status):
    assert client.post(f"{image_set}/{operation}").status_code == status
    assert upstream.asked == []


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PUT"])
def test_no_other_operation_is_passed_on(client, upstream, method):
    for path in (
        "/datastore",
        f"/datastore/{STORE}",
        f"{ONE}/deleteImageSet",
        f"{ONE}/updateImageSetMetadata?latestVersion=1",
        f"{ONE}/listImageSetVersions",
        f"{ONE}/copyImageSet",
        f"/startDICOMImportJob/datastore/{STORE}",
        "/tags/arn%3Aaws",
        f"{ONE}/getImageSet/../deleteImageSet",
        f"{ONE}/getImageFrame/x",
        f"{ONE}/GetImageSet",
    ):
        answer = client.open(path, method=method, json={})
        assert answer.status_code in (404, 405), path
        assert answer.get_json()["message"], path
        assert upstream.asked == [], path
        if path.startswith("/datastore/"):
            assert answer.headers["x-amzn-ErrorType"] == "ResourceNotFoundException", path


@pytest.mark.parametrize("path", [f"{ONE}/getImageSet", f"{ONE}/getImageSetMetadata", SEARCH])
def test_options_are_204(client, path):
    answer = client.options(path, headers={"Origin": "http://localhost"})
    assert (answer.status_code, answer.get_data()) == (204, b"")
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]


def test_a_version_that_is_not_there_makes_nothing_stale(client, house):
    house.image_sets.documents[SET] = UpstreamNotFound("no such version")
    assert client.get(f"{ONE}/getImageSetMetadata?version=9").status_code == 404
    house.services.archive.index.image_set_shown(STORE, SET)
    assert client.get(f"{ONE}/getImageSetMetadata").status_code == 404
    assert client.get(f"{ONE}/getImageSet").status_code == 404


def test_a_search_shows_what_the_index_knows(client, upstream):
    upstream.pages[None] = page(row(SET), row("0" * 32), row(OTHERS), token="more/=")
    answer = client.post(f"{SEARCH}?maxResults=3", json={"sort": {"sortField": "updatedAt"}})
    found = answer.get_json()
    assert [one["imageSetId"] for one in found["imageSetsMetadataSummaries"]] == [SET, OTHERS]
    assert found["imageSetsMetadataSummaries"][0] == row(SET)
    ((criteria, query),) = upstream.asked
    assert orjson.loads(criteria) == {"sort": {"sortField": "updatedAt"}}
    assert query == {"maxResults": "3"}
    upstream.pages["more/="] = page()
    following = f"{SEARCH}?maxResults=3&nextToken={found['nextToken']}"
    assert client.post(following, json={"sort": {"sortField": "updatedAt"}}).get_json()["nextToken"] is None
    assert upstream.asked[1] == (criteria, {"maxResults": "3", "nextToken": "more/="})


def test_pages_that_show_nothing_are_passed_over(client, upstream):
    upstream.pages = {None: page(row("0" * 32), token="b"), "b": page(token="c"), "c": page(row(SET))}
    found = client.post(SEARCH).get_json()
    assert [one["imageSetId"] for one in found["imageSetsMetadataSummaries"]] == [SET]
    assert found["nextToken"] is None


def test_a_search_without_end_ends(client, upstream):
    upstream.pages = {None: page(token="b"), "b": page(token="b")}
    assert client.post(SEARCH).get_json()["imageSetsMetadataSummaries"] == []
    assert len(upstream.asked) == 40


class Store(Upstream):
    """A data store of image sets `ids`, in pages as large as they are asked."""

    def __init__(self, ids):
        super().__init__()
        self.ids = ids

    def search(self, datastore_id, criteria, query, deadline=None):
        self.asked.append(query)
        start, most = int(query.get("nextToken", "0")), int(query.get("maxResults", "50"))
        more = str(start + most) if start + most < len(self.ids) else None
        return page(*(row(one) for one in self.ids[start : start + most]), token=more)


def pages_of(client, size):
    """The ids on each page, until there is no other."""
    found, token = [], None
    while token or not found:
        more = f"&nextToken={token}" if token else ""
        answer = client.post(f"{SEARCH}?maxResults={size}{more}").get_json()
        found.append([one["imageSetId"] for one in answer["imageSetsMetadataSummaries"]])
        token = answer["nextToken"]
    return found


HIDDEN = ["0" * 32, hex_id("set", SEG), "1" * 32]
CT_OF_P1 = Sight((Grant(wanted=(("Modality", ("CT",)), ("PatientID", ("P1",)))),))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
@pytest.mark.parametrize(
    "among",
    [
        lambda seen, hidden: seen,
        lambda seen, hidden: [*hidden * 60, *seen],
        lambda seen, hidden: [*seen, *hidden * 60],
        lambda seen, hidden: [one for some in seen for one in (some, *hidden * 20)],
        lambda seen, hidden: [*seen[:3], *hidden, *seen[3:]],
    ],
    ids=["nothing hidden", "before", "behind", "between", "few"],
)
def test_pages_are_those_of_a_store_without_what_is_hidden(house, size, among):
    """Neither a page that is less full nor a token for nothing says that something is hidden."""
    ids = [SET] * 6
    plain, mixed = (
        create_app(
            replace(
                house.services.seen_by(CT_OF_P1),
                archive=replace(house.services.seen_by(CT_OF_P1).archive, passed_on=Store(some)),
            )
        ).test_client()
        for some in (ids, among(ids, HIDDEN))
    )
    expected = [ids[start : start + size] for start in range(0, len(ids), size)]
    assert pages_of(plain, size) == pages_of(mixed, size) == expected


def test_a_token_tells_nothing_and_is_for_one_search_of_one_caller(seen_by, house, upstream):
    upstream.pages = {None: page(row(SET), row("0" * 32), row(SET), token="b"), "b": page(row(SET))}
    client, other = seen_by(CT_OF_P1), seen_by(Sight((Grant(wanted=(("Modality", ("CT",)),)),)))
    tokens = [client.post(f"{SEARCH}?maxResults={n}").get_json()["nextToken"] for n in (1, 2)]
    assert len({len(one) for one in tokens}) == 1
    assert client.post(f"{SEARCH}?nextToken={tokens[1]}").status_code == 200
    flipped = tokens[0][:-3] + ("A" if tokens[0][-3] != "A" else "B") + tokens[0][-2:]
    for asking, token, criteria in (
        (other, tokens[0], {}),
        (seen_by(), tokens[0], {}),
        (client, tokens[0], {"sort": {"sortField": "updatedAt"}}),
        (client, flipped, {}),
        (client, "b", {}),
        (client, "AAAA", {}),
        (client, "%C3%A9", {}),
    ):
        refused = asking.post(f"{SEARCH}?nextToken={token}", json=criteria)
        assert (refused.status_code, refused.headers["x-amzn-ErrorType"]) == (400, "ValidationException")


@pytest.mark.parametrize("store", ["0" * 32, "x"])
def test_other_data_stores_are_not_searched(client, upstream, store):
    assert client.post(f"/datastore/{store}/searchImageSets").status_code in (400, 404)
    assert upstream.asked == []


def test_what_healthimaging_refuses_and_nonsense(client, upstream):
    upstream.error = UpstreamInvalid("HealthImaging answered SearchImageSets with 400 ValidationException")
    refused = client.post(SEARCH)
    assert (refused.status_code, refused.headers["x-amzn-ErrorType"]) == (400, "ValidationException")
    upstream.error = None
    upstream.pages[None] = b"[]"
    assert client.post(SEARCH).status_code == 502


def test_a_store_that_is_not_allowed_is_as_unknown(tmp_path, upstream):
    (tmp_path / "other").mkdir()
    house = build(tmp_path / "other", allowed=frozenset({"e" * 32}))
    archive = replace(house.services.archive, passed_on=upstream)
    client = create_app(replace(house.services, archive=archive)).test_client()
    for path in (f"{ONE}/getImageSet", f"{ONE}/getImageSetMetadata", SEARCH):
        assert client.post(path).status_code == 404
    assert upstream.asked == []


def test_another_version_is_shown_only_if_it_shows_nothing_hidden(seen_by, house):
    """Rules follow from what is indexed; an older document may be another patient's."""
    client = seen_by(Sight((Grant(wanted=(("PatientID", ("P1",)),)),)))
    house.image_sets.documents[SET], indexed = (
        house.image_sets.documents[SET].replace(b'"P1 "', b'"P2"'),
        house.image_sets.documents[SET],
    )
    hidden = client.get(f"{ONE}/getImageSetMetadata?version=2")
    house.image_sets.documents[SET], kept = UpstreamNotFound("gone"), house.image_sets.documents[SET]
    missing = client.get(f"{ONE}/getImageSetMetadata?version=4")
    house.image_sets.documents[SET] = kept
    assert hidden.status_code == missing.status_code == 404
    assert hidden.data.replace(b"version 2", b"version 4") == missing.data
    assert b"has no version 4" in missing.data
    house.image_sets.documents[SET] = indexed
    assert client.get(f"{ONE}/getImageSetMetadata?version=3").status_code == 200
    assert client.get(f"{ONE}/getImageSetMetadata").status_code == 200


def test_counts_of_a_study_are_left_out_where_some_of_it_may_be_hidden(seen_by, upstream):
    upstream.pages[None] = page(row(SET))
    client = seen_by(Sight((Grant(wanted=(("PatientID", ("P1",)),)),)))
    (found,) = client.post(SEARCH).get_json()["imageSetsMetadataSummaries"]
    assert found["DICOMTags"] == {"DICOMStudyInstanceUID": STUDY}
    assert seen_by(NOTHING).post(SEARCH).status_code == 404


def test_that_it_is_not_primary_tells_of_another_one(seen_by, house, upstream):
    """HealthImaging keeps apart what contradicts the first one that came: that one may be hidden."""
    upstream.pages[None] = page({**row(SET), "isPrimary": False})
    asked = {"filters": [{"operator": "EQUAL", "values": [{"isPrimary": True}]}]}
    elsewhere = Sight((Grant(frozenset({STORE})), Grant(None, (("Modality", ("CT",)),))))
    for sight, is_told in ((CT_OF_P1, False), (None, True), (elsewhere, True)):
        client = seen_by(sight)
        (found,) = client.post(SEARCH).get_json()["imageSetsMetadataSummaries"]
        properties = client.get(f"{ONE}/getImageSet").get_json()
        assert ("isPrimary" in found) == ("isPrimary" in properties) == is_told
        assert found.keys() - {"isPrimary"} == row(SET).keys()
        assert properties.keys() - {"isPrimary"} == {"imageSetId", "versionId"}
        refused = client.post(SEARCH, json=asked)
        assert refused.status_code == (200 if is_told else 400)
    nothing = seen_by(CT_OF_P1).post(f"/datastore/{'0' * 32}/searchImageSets", json=asked)
    assert (nothing.status_code, nothing.data) == (400, seen_by(CT_OF_P1).post(SEARCH, json=asked).data)


def test_a_version_that_is_hidden_has_no_properties(seen_by, house):
    client = seen_by(Sight((Grant(wanted=(("PatientID", ("P1",)),)),)))
    assert client.get(f"{ONE}/getImageSet?version=1").status_code == 200
    house.image_sets.documents[SET] = house.image_sets.documents[SET].replace(b'"P1 "', b'"P2"')
    assert client.get(f"{ONE}/getImageSet?version=2").status_code == 404
    assert seen_by().get(f"{ONE}/getImageSet?version=2").status_code == 200


@pytest.mark.parametrize("version", [2, None, "1"])
def test_tags_of_a_version_that_nobody_judged_are_left_out(seen_by, upstream, version):
    """HealthImaging searches the latest version, the rules judge the indexed one."""
    upstream.pages[None] = page({**row(SET, DICOMPatientId="P2"), "version": version})
    client = seen_by(Sight((Grant(wanted=(("PatientID", ("P1",)),)),)))
    (found,) = client.post(SEARCH).get_json()["imageSetsMetadataSummaries"]
    assert found["imageSetId"] == SET
    assert ("DICOMTags" in found) == (version == "1")
    (found,) = seen_by().post(SEARCH).get_json()["imageSetsMetadataSummaries"]
    assert found["DICOMTags"]["DICOMPatientId"] == "P2"


def test_what_is_judged_is_what_is_sent(fresh, tmp_path):
    """The latest version is read anew at any moment, here each time, and may be another patient's then."""

    class Changing:
        def __init__(self, blob):
            self.blobs = itertools.cycle([blob, blob.replace(b'"P1 "', b'"P2"')])

        def metadata(self, ref, deadline=None):
            return next(self.blobs)

    documents = DocumentCache(Changing(fresh.image_sets.documents[SET]), tmp_path / "changing", ttl=0)
    services = replace(fresh.services, archive=replace(fresh.services.archive, documents=documents))
    client = create_app(services.seen_by(Sight((Grant(wanted=(("PatientID", ("P1",)),)),)))).test_client()
    statuses = set()
    for _ in range(6):
        answer = client.get(f"{ONE}/getImageSetMetadata")
        statuses.add(answer.status_code)
        assert answer.status_code == 404 or b'"P2"' not in gzip.decompress(answer.get_data())
    assert statuses == {200, 404}


def test_series_of_one_study_are_not_mixed_up(client):
    body = gzip.decompress(client.get(f"/datastore/{STORE}/imageSet/{OTHERS}/getImageSetMetadata").get_data())
    assert orjson.loads(body)["Study"]["DICOM"]["StudyInstanceUID"] == OTHER


@pytest.mark.parametrize("path", [SEARCH, f"{ONE}/getImageFrame"])
def test_bodies_are_as_small_as_what_is_in_them(client, upstream, path):
    upstream.pages[None] = page()
    for size, status in ((1000, 200), (60_000, 200), (70_000, 413)):
        named = (
            b'"imageFrameId":"%b"' % hex_id("frame", CT, 1, 1).encode() if "getImageFrame" in path else b""
        )
        body = b"{" + named + b" " * size + b"}"
        assert client.post(path, data=body, content_type="application/json").status_code == status


def bounded(house, upstream, **bounds):
    """A client with rules, of a gateway whose searches are bounded so."""
    services = house.services.seen_by(CT_OF_P1)
    archive = replace(services.archive, passed_on=upstream, searches=KeptSearches(**bounds))
    return create_app(replace(services, archive=archive)).test_client()


def patient(client, path, tries):
    """The answer to an asker who asks again when told to, and how often that was."""
    for number in range(tries):
        answer = client.post(path)
        if answer.status_code != 429:
            return answer, number
        assert answer.headers["x-amzn-ErrorType"] == "ThrottlingException"
        assert answer.headers["Retry-After"] == "1"
    raise AssertionError(f"no answer after {tries} tries")


def test_a_search_past_its_bounds_is_throttled_and_goes_on(house):
    """Nobody gets a page that is less full; whoever asks on gets all, and no page is looked through twice."""
    store = Store([*HIDDEN * 60, SET, *HIDDEN * 60, SET, SET, *HIDDEN * 60, SET])
    client = bounded(house, store, pages=2)
    first, tries = patient(client, f"{SEARCH}?maxResults=2", 20)
    assert tries == 3
    assert len(first.get_json()["imageSetsMetadataSummaries"]) == 2
    token = first.get_json()["nextToken"]
    second, _ = patient(client, f"{SEARCH}?maxResults=2&nextToken={token}", 20)
    assert len(second.get_json()["imageSetsMetadataSummaries"]) == 2
    assert second.get_json()["nextToken"] is None
    starts = [int(one.get("nextToken", "0")) for one in store.asked]
    # the second page begins within one that the first has seen
    assert sorted(set(starts)) == list(range(0, len(store.ids), 50))
    assert len(starts) == len(set(starts)) + 1


def test_the_shortest_time_leads_on(house):
    client = bounded(house, Store([*HIDDEN * 60, SET]), seconds=-10.0)
    answer, tries = patient(client, SEARCH, 9)
    assert (len(answer.get_json()["imageSetsMetadataSummaries"]), tries) == (1, 3)


def test_a_finished_search_begins_anew(house):
    store = Store([*HIDDEN * 60, SET])
    client = bounded(house, store, pages=2)
    assert len(patient(client, SEARCH, 9)[0].get_json()["imageSetsMetadataSummaries"]) == 1
    store.ids.insert(0, SET)
    store.asked.clear()
    assert len(patient(client, SEARCH, 9)[0].get_json()["imageSetsMetadataSummaries"]) == 2


def test_no_other_search_goes_on_there(house, upstream):
    store = Store([*HIDDEN * 60, SET])
    client = bounded(house, store, pages=2)
    assert client.post(SEARCH).status_code == 429
    for other, criteria in ((f"{SEARCH}?maxResults=3", {}), (SEARCH, {"sort": {"sortField": "updatedAt"}})):
        store.asked.clear()
        assert client.post(other, json=criteria).status_code == 429
        assert "nextToken" not in store.asked[0]


def test_what_was_found_is_judged_by_what_is_shown_now(house):
    store = Store([SET, *HIDDEN * 60])
    client = bounded(house, store, pages=2)
    assert client.post(SEARCH).status_code == 429
    with house.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE gateway_imageset SET imagesetid = '9' WHERE imagesetid = ?", (SET,)
        )
    answer, _ = patient(client, SEARCH, 9)
    assert answer.get_json()["imageSetsMetadataSummaries"] == []


def test_what_healthimaging_breaks_off_is_gone_on_with(house):
    """A page that it throttles itself looks the same; a token that holds no longer begins anew."""

    class Failing(Store):
        failures = ()

        def search(self, datastore_id, criteria, query, deadline=None):
            if "nextToken" in query and self.failures:
                error, *self.failures = self.failures
                raise error
            return super().search(datastore_id, criteria, query, deadline)

    store = Failing([*HIDDEN * 60, SET])
    store.failures = [of_answer("SearchImageSets", 429, "ThrottlingException")]
    client = bounded(house, store, pages=2)
    own, theirs = client.post(f"{SEARCH}?maxResults=9"), client.post(SEARCH)
    assert own.status_code == theirs.status_code == 429
    assert own.data == theirs.data
    store.failures = [of_answer("SearchImageSets", 400, "ValidationException")]
    assert client.post(SEARCH).status_code == 429
    store.asked.clear()
    assert len(patient(client, SEARCH, 9)[0].get_json()["imageSetsMetadataSummaries"]) == 1
    assert "nextToken" not in store.asked[0]


def test_another_host_goes_on_by_the_shared_cache(house):
    class Tier(dict):
        def put(self, key, value, seconds=None):
            self[key] = value

    tier, store = Tier(), Store([*HIDDEN * 60, SET])
    clients = [bounded(house, store, tier=tier, pages=2) for _ in range(2)]
    assert [clients[n % 2].post(SEARCH).status_code for n in range(2)] == [429, 200]
    assert len(store.asked) == 4
    assert clients[0].post(SEARCH).status_code == 429


def test_a_search_that_leads_to_itself_ends(house, upstream):
    upstream.pages = {None: page(token="b"), "b": page(token="b")}
    assert bounded(house, upstream, pages=5).post(SEARCH).status_code == 502
