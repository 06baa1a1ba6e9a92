"""Batches of SQS records as AWS Lambda hands them over."""

import pytest

from dicomweb_gateway import aws_lambda
from dicomweb_gateway.errors import UpstreamFailed
from dicomweb_gateway.qido.parse import parse_query
from dicomweb_gateway.workflow.event_batch import follow_batch
from dicomweb_gateway.workflow.watch import Watcher
from tests.index.searching import search
from tests.routes.archive import STORE
from tests.sqs import event
from tests.workflow.test_sync import House


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


def records(*bodies):
    made = [
        {"messageId": f"m{number}", "body": body, "attributes": {"ApproximateReceiveCount": "1"}}
        for number, body in enumerate(bodies)
    ]
    return {"Records": made}


def again(house, *bodies):
    def make(queue):
        return Watcher(queue, house.writer, house.sync, lambda: [STORE])

    answer = follow_batch(make, records(*bodies))
    return [row["itemIdentifier"] for row in answer["batchItemFailures"]]


def test_indexed_and_not_to_come_again(house):
    one, two = house.store.put("one"), house.store.put("two", "1.2.2")
    assert again(house, event(STORE, one), event(STORE, two), event(STORE, one)) == []
    assert house.writer.known(STORE) == {one: 1, two: 1}
    assert again(house) == []


def test_what_is_no_event_comes_again(house):
    one = house.store.put("one")
    assert again(house, "hello", event(STORE, one), "{}") == ["m0", "m2"]
    assert house.writer.known(STORE) == {one: 1}


def test_a_failing_image_set_is_noted_in_the_index(house):
    bad = house.store.put("bad", content=UpstreamFailed("broken"))
    assert again(house, event(STORE, bad)) == []
    assert [failure.imagesetid for failure in house.writer.failures()] == [bad]


def test_without_an_index_all_that_is_not_done_comes_again(house):
    one, two = house.store.put("one"), house.store.put("two", "1.2.2")
    house.lose_index_after(1)
    assert again(house, event(STORE, one), event(STORE, two)) == ["m1"]
    del house.writer.put
    assert again(house, event(STORE, two)) == []
    assert house.writer.known(STORE) == {one: 1, two: 1}


def test_the_handler_takes_its_settings_from_the_environment(monkeypatch, tmp_path, house):
    one = house.store.put("one", tags={"AcquisitionDateTime": "20240701120000"})
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/index.sqlite")
    monkeypatch.setenv("TIME_ZONE", "+0200")
    monkeypatch.setattr(aws_lambda, "make_image_set_store", lambda settings: house.store)
    aws_lambda._parts.cache_clear()
    assert aws_lambda.handle(records(event(STORE, one)), None) == {"batchItemFailures": []}
    assert house.writer.known(STORE) == {one: 1}
    assert search(house.engine, parse_query("instance", [("AcquisitionDateTime", "2024070110")])).rows
    close_parts()


def test_the_handler_leaves_other_data_stores_alone(monkeypatch, tmp_path, house):
    """Neither by events nor as the heirs of image sets that went."""
    one = house.store.put("one")
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/index.sqlite")
    monkeypatch.setenv("AHI_DATASTORE_IDS", "e" * 32)
    monkeypatch.setattr(aws_lambda, "make_image_set_store", lambda settings: house.store)
    aws_lambda._parts.cache_clear()
    assert aws_lambda.handle(records(event(STORE, one)), None) == {"batchItemFailures": []}
    assert (house.writer.known(STORE), house.store.read) == ({}, [])
    assert aws_lambda._parts()[1]._allowed == {"e" * 32}
    close_parts()


def close_parts():
    aws_lambda._parts()[0].close()
    aws_lambda._parts.cache_clear()
