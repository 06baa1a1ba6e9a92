"""HealthImaging's own operations asked of a running gateway: by an AWS SDK, and by many at once (7)."""

import gzip
import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError

from dicomweb_gateway.dicom.codestream import parse_codestream
from dicomweb_gateway.tlm.levels import level_bounds
from dicomweb_gateway.workflow.samples import write_synthetic_series
from tests.emulator.running import client_of

from .house import House

SLICES = 10


@pytest.fixture(scope="module", params=[[], ["--boxed"]], ids=["bare", "boxed"])
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("own")
    write_synthetic_series(folder / "in", slices=SLICES, size=512)
    settings = {"WEB_PROCESSES": "2", "FETCHER_PROCESSES": "2", "PREFETCH": "false"}
    house = House(folder / "house", folder / "in", settings, request.param)
    house.start()
    yield house
    house.close()


@pytest.fixture(scope="module")
def root(house: House) -> str:
    return f"http://127.0.0.1:{house.port}"


@pytest.fixture(scope="module")
def service(house: House) -> Any:
    """boto3, which speaks to the emulator."""
    return client_of(house.emulator)


@pytest.fixture(scope="module")
def sdk(root: str) -> Any:
    """boto3, which takes the gateway for HealthImaging."""
    return client_of(root)


@pytest.fixture(scope="module")
def ids(service: Any) -> dict[str, str]:
    (store,) = service.list_datastores()["datastoreSummaries"]
    found = service.search_image_sets(datastoreId=store["datastoreId"], searchCriteria={})
    (row,) = found["imageSetsMetadataSummaries"]
    return {"datastoreId": store["datastoreId"], "imageSetId": row["imageSetId"]}


@pytest.fixture(scope="module")
def frame_ids(service: Any, ids: dict[str, str]) -> list[str]:
    blob = service.get_image_set_metadata(**ids)["imageSetMetadataBlob"].read()
    (series,) = json.loads(gzip.decompress(blob))["Study"]["Series"].values()
    return [frame["ID"] for one in series["Instances"].values() for frame in one["ImageFrames"]]


def address(root: str, ids: dict[str, str], operation: str = "getImageFrame") -> str:
    return f"{root}/datastore/{ids['datastoreId']}/imageSet/{ids['imageSetId']}/{operation}"


def frame_of(client: Any, ids: dict[str, str], frame_id: str) -> bytes:
    found = client.get_image_frame(**ids, imageFrameInformation={"imageFrameId": frame_id})
    return bytes(found["imageFrameBlob"].read())


def test_an_sdk_gets_what_healthimaging_would_give(
    sdk: Any, service: Any, ids: dict[str, str], frame_ids: list[str]
) -> None:
    assert frame_of(sdk, ids, frame_ids[0]) == frame_of(service, ids, frame_ids[0])
    ours, theirs = sdk.get_image_set_metadata(**ids), service.get_image_set_metadata(**ids)
    assert ours["contentEncoding"] == theirs["contentEncoding"] == "gzip"
    assert ours["contentType"] == theirs["contentType"]
    documents = [json.loads(gzip.decompress(one["imageSetMetadataBlob"].read())) for one in (ours, theirs)]
    assert documents[0] == documents[1]
    for options in ({}, {"versionId": "1"}):
        ours, theirs = sdk.get_image_set(**ids, **options), service.get_image_set(**ids, **options)
        assert bare(ours) == bare(theirs)
    criteria = {"sort": {"sortField": "updatedAt", "sortOrder": "ASC"}}
    searched = {"datastoreId": ids["datastoreId"], "searchCriteria": criteria, "maxResults": 7}
    assert bare(sdk.search_image_sets(**searched)) == bare(service.search_image_sets(**searched))


def bare(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def test_an_sdk_raises_what_it_would_raise(sdk: Any, ids: dict[str, str]) -> None:
    unknown = {**ids, "imageSetId": "0" * 32}
    errors = sdk.exceptions
    with pytest.raises(errors.ResourceNotFoundException, match="does not know image set"):
        sdk.get_image_set(**unknown)
    with pytest.raises(errors.ResourceNotFoundException):
        frame_of(sdk, ids, "0" * 32)
    with pytest.raises(errors.ValidationException, match="image set id"):
        sdk.get_image_set_metadata(**{**ids, "imageSetId": "A" * 32})
    with pytest.raises(errors.ValidationException):
        sdk.search_image_sets(datastoreId=ids["datastoreId"], searchCriteria={}, nextToken="of no search")
    with pytest.raises(ClientError, match="ResourceNotFound"):
        sdk.delete_image_set(**ids)


def test_what_fails_upstream_keeps_its_status(
    house: House, root: str, ids: dict[str, str], frame_ids: list[str]
) -> None:
    cases = [("denied", 403), ("throttle", 429)]
    try:
        for (kind, status), frame_id in zip(cases, frame_ids[-2:], strict=True):
            house.faults(rules=[{"kind": kind, "operations": ["GetImageFrame"]}])
            answer = requests.post(address(root, ids), json={"imageFrameId": frame_id}, timeout=60)
            assert answer.status_code == status
            assert ("Retry-After" in answer.headers) == (status != 403)
    finally:
        house.faults(rules=[])


def test_many_who_ask_for_levels_of_one_cold_frame_cause_one_call(
    house: House, root: str, ids: dict[str, str], frame_ids: list[str]
) -> None:
    house.faults(latency_ms=200)
    house.reset_counters()
    wanted = frame_ids[1:5]

    def ask(number: int) -> tuple[str, int, bytes]:
        frame_id, level = wanted[number % 4], number // 4 % 4
        levels = {"startLevel": level, "endLevel": level}
        body = {"imageFrameInformation": {"imageFrameId": frame_id}}
        # a connection of its own for each, so that both processes are asked
        answer = requests.post(address(root, ids), params=levels, json=body, timeout=60)
        assert answer.status_code == 200
        return frame_id, level, answer.content

    numbers = list(range(64))
    random.Random(1).shuffle(numbers)
    try:
        with ThreadPoolExecutor(64) as crowd:
            found = {(frame_id, level): content for frame_id, level, content in crowd.map(ask, numbers)}
    finally:
        house.faults(latency_ms=0)
    assert house.counters()["frames"] == dict.fromkeys(wanted, 1)
    for frame_id in wanted:
        whole = requests.post(address(root, ids), json={"imageFrameId": frame_id}, timeout=60).content
        assert b"".join(found[frame_id, level] for level in range(4)) == whole
        assert parse_codestream(whole).decompositions == 3
    assert house.counters()["frames"] == dict.fromkeys(wanted, 1)


def test_heads_ranges_and_what_is_held(
    root: str, ids: dict[str, str], frame_ids: list[str], service: Any
) -> None:
    frame = frame_of(service, ids, frame_ids[6])
    first = frame[: level_bounds(frame)[1]]
    for more, whole in (("", frame), ("&startLevel=0&endLevel=0", first)):
        url = f"{address(root, ids)}?imageFrameId={frame_ids[6]}{more}"
        for _ in range(3):
            head = requests.head(url, timeout=60)
            assert int(head.headers["Content-Length"]) == len(whole)
            assert requests.get(url, timeout=60).content == whole
            part = requests.get(url, headers={"Range": "bytes=100-199"}, timeout=60)
            assert (part.status_code, part.content) == (206, whole[100:200])
            tag = {"If-None-Match": head.headers["ETag"]}
            assert requests.get(url, headers=tag, timeout=60).status_code == 304


def test_nothing_else_reaches_healthimaging(house: House, root: str, ids: dict[str, str]) -> None:
    house.reset_counters()
    for path in ("deleteImageSet", "listImageSetVersions", "updateImageSetMetadata", "../../../datastore"):
        for method in ("GET", "POST"):
            answer = requests.request(method, address(root, ids, path), json={}, timeout=60)
            assert answer.status_code in (404, 405)
    assert not any(one["requests"] for one in house.counters()["operations"].values())


def test_the_check_of_load_balancers(root: str) -> None:
    answer = requests.get(f"{root}/healthcheck", timeout=60)
    assert (answer.status_code, answer.content) == (200, b"")
