"""HealthImaging's events, as documented, as captured, and as queues spoil them (healthimaging.md 4.2)."""

import json
from typing import Any

import pytest

from dicomweb_gateway.imagesets.events import ImageSetEvent, parse_event

STORE, SET = "a" * 32, "b" * 32
ARN = f"arn:aws:medical-imaging:us-west-2:111122223333:datastore/{STORE}/imageset/{SET}"


def body(kind: str = "Image Set Created", resources: tuple[str, ...] = (ARN,), **detail: Any) -> str:
    event = {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": kind,
        "source": "aws.medical-imaging",
        "account": "111122223333",
        "time": "2024-03-14T00:01:00Z",
        "region": "us-west-2",
        "resources": resources,
        "detail": {"imagingVersion": "1.0", **detail},
    }
    return json.dumps(event)


FULL = {"datastoreId": STORE, "imageSetVersion": "3", "imageSetState": "ACTIVE"}


@pytest.mark.parametrize(
    "text",
    [
        body(**FULL, imageSetId=SET),
        body(**FULL, imagesetId=SET),
        body(**FULL),
        body(imageSetVersion=3),
        body(**FULL, imageSetId=SET, resources=()),
        json.dumps({"Type": "Notification", "Message": body(**FULL, imagesetId=SET)}),
    ],
    ids=["imageSetId", "imagesetId", "id from the ARN", "all from the ARN", "no ARN", "wrapped by SNS"],
)
def test_ids_and_version(text):
    assert parse_event(text) == ImageSetEvent(STORE, SET, 3, deleted=False, settled=True)


@pytest.mark.parametrize(
    ("kind", "settled", "deleted"),
    [
        ("Created", True, False),
        ("Copying", False, False),
        ("Copying With Read Only Access", False, False),
        ("Copied", True, False),
        ("Copy Failed", False, False),
        ("Updating", False, False),
        ("Updated", True, False),
        ("Update Failed", False, False),
        ("Deleting", False, False),
        ("Deleted", True, True),
    ],
)
def test_kinds(kind, settled, deleted):
    event = parse_event(body(f"Image Set {kind}", **FULL))
    assert event is not None
    assert (event.settled, event.deleted) == (settled, deleted)


@pytest.mark.parametrize("version", ["", "x", "-1", None, "9" * 40, [3]])
def test_a_version_that_is_none(version):
    event = parse_event(body(datastoreId=STORE, imageSetId=SET, imageSetVersion=version))
    assert event is not None
    assert event.version is None


def test_versions_are_numbers():
    events = [parse_event(body(imageSetVersion=version)) for version in ("9", "10")]
    assert [event.version for event in events if event] == [9, 10]


@pytest.mark.parametrize("kind", ["Import Job Completed", "Data Store Created", "Something New"])
def test_other_events_are_none_of_ours(kind):
    assert parse_event(body(kind, datastoreId=STORE)) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "[]",
        "3",
        "null",
        "{}",
        '{"detail-type": 3}',
        '{"Message": "hello"}',
        '{"Message": "[]"}',
        '{"detail-type": "Image Set Created", "detail": []}',
        '{"detail-type": "Image Set Created", "detail": "x"}',
        body(resources=()),
        body(resources=("arn:aws:s3:::x",), datastoreId=STORE),
        body(resources=(), datastoreId=STORE, imageSetId="../../x"),
        body(resources=(), datastoreId=STORE, imageSetId=7),
    ],
)
def test_what_is_no_event_is_said_to_be_none(text):
    with pytest.raises(ValueError):  # noqa: PT011 - JSON's own errors count too
        parse_event(text)
