"""The SQS queue, on moto's server."""

import pytest

from dicomweb_gateway.errors import SettingsError, UpstreamError
from dicomweb_gateway.imagesets.event_queue import EventQueue
from tests.sqs import aws_server, queue

__all__ = ["aws_server", "queue"]


def test_received_until_deleted(queue):
    ours = queue.reader()
    assert ours.receive(wait=0) == []
    queue.send(*(f"message {number}" for number in range(25)))
    assert ours.waiting() == 25
    bodies, handles = [], []
    while found := ours.receive(wait=0):
        assert len(found) <= 10
        bodies += [message.body for message in found]
        handles += [message.handle for message in found]
        assert {message.tries for message in found} == {1}
    assert sorted(bodies) == sorted(f"message {number}" for number in range(25))
    assert queue.numbers() == (0, 25)
    ours.delete(handles)
    ours.delete([])
    assert queue.numbers() == (0, 0)


def test_dead_letters_are_counted(queue):
    ours = queue.reader()
    assert ours.dead() == 0
    queue.client.send_message(QueueUrl=queue.dead_url, MessageBody="x")
    assert ours.dead() == 1
    assert queue.reader(queue.dead_url).dead() is None


def test_a_queue_that_is_not_there(queue):
    with pytest.raises(UpstreamError, match="ReceiveMessage"):
        queue.reader(f"{queue.url}x").receive(wait=0)


@pytest.mark.parametrize(
    "url",
    [
        "https://sqs.eu-west-1.amazonaws.com/111122223333/events",
        "https://eu-west-1.queue.amazonaws.com/111122223333/events",
    ],
)
def test_the_region_is_that_of_the_queue(monkeypatch, url):
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    made = EventQueue(url, "us-east-1")
    assert made._client.meta.region_name == "eu-west-1"
    assert made._client.meta.endpoint_url.startswith("https://sqs.eu-west-1.")


def test_without_a_region(monkeypatch):
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(SettingsError, match="INDEX_QUEUE_URL"):
        EventQueue("http://127.0.0.1:1/q")
