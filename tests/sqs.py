"""SQS in tests: moto's server, a queue with a dead-letter queue, and events to put into it."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from dicomweb_gateway.imagesets.event_queue import EventQueue


@pytest.fixture(scope="session")
def aws_server() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


class Queue:
    """One queue; messages that are not deleted come again at once after `show_again`."""

    def __init__(self, client: Any, server: str, name: str) -> None:
        self.client = client
        dead = client.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
        attributes = client.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]
        policy = json.dumps({"deadLetterTargetArn": attributes["QueueArn"], "maxReceiveCount": 2})
        made = client.create_queue(
            QueueName=name, Attributes={"VisibilityTimeout": "600", "RedrivePolicy": policy}
        )["QueueUrl"]
        self.url = f"{server}/{made.split('/', 3)[3]}"
        self.dead_url = f"{server}/{dead.split('/', 3)[3]}"
        self._readers: list[EventQueue] = []

    def reader(self, url: str | None = None) -> EventQueue:
        """Ours, of this or another queue, as long as the test lasts."""
        self._readers.append(EventQueue(url or self.url, "us-east-1"))
        return self._readers[-1]

    def close(self) -> None:
        # a connection that is left to the garbage collector warns in whichever test it comes by
        for client in (self.client, *(reader._client for reader in self._readers)):
            client.close()

    def send(self, *bodies: str) -> None:
        for body in bodies:
            self.client.send_message(QueueUrl=self.url, MessageBody=body)

    def numbers(self) -> tuple[int, int]:
        """Messages that wait, and those that somebody has received and not deleted."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return int(found[names[0]]), int(found[names[1]])


@pytest.fixture
def queue(
    aws_server: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Queue]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    client = boto3.client("sqs", endpoint_url=aws_server, region_name="us-east-1")
    name = "".join(c if c.isalnum() else "-" for c in request.node.name)[:60]
    made = Queue(client, aws_server, name)
    yield made
    made.close()


def event(
    datastore_id: str,
    image_set_id: str,
    version: int | None = 1,
    kind: str = "Created",
    spelling: str = "imageSetId",
) -> str:
    """An EventBridge event of an image set, as it comes out of the queue."""
    place = f"datastore/{datastore_id}/imageset/{image_set_id}"
    state = "DELETED" if kind == "Deleted" else "ACTIVE"
    detail = {"imagingVersion": "1.0", "datastoreId": datastore_id, "imageSetState": state}
    if spelling:
        detail[spelling] = image_set_id
    if version is not None:
        detail["imageSetVersion"] = str(version)
    return json.dumps(
        {
            "version": "0",
            "detail-type": f"Image Set {kind}",
            "source": "aws.medical-imaging",
            "resources": [f"arn:aws:medical-imaging:us-east-1:111122223333:{place}"],
            "detail": detail,
        }
    )
