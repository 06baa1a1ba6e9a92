"""The SQS queue that EventBridge puts HealthImaging's events into (healthimaging.md 4.2)."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import boto3.session
import orjson
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from dicomweb_gateway.errors import SettingsError
from dicomweb_gateway.imagesets.aws_errors import translated

LONG_POLL_SECONDS = 20
"""Seconds that a receive waits for a message; the most that SQS allows."""

_BATCH = 10
_AWS_HOST = re.compile(r"^(?:sqs\.([a-z0-9-]+)|([a-z0-9-]+)\.queue)\.amazonaws\.com")

# the SDK has no types
_new_session: Any = boto3.session.Session
_new_config: Any = Config


class QueuedMessage(NamedTuple):
    """A message; `handle` is what deletes it, `tries` how often it was received, this time included.

    `sent_at` is when it came into the queue, by time.time; None where the queue does not say.
    """

    handle: str
    body: str
    tries: int
    sent_at: float | None = None


class EventQueue:
    """The queue at `url`. A host that is not AWS's own is taken for an endpoint that speaks SQS.

    Every method raises the UpstreamError that fits. A message that was received and not deleted comes
    again after the queue's visibility timeout, and goes to its dead-letter queue after some tries.
    """

    def __init__(self, url: str, region: str | None = None) -> None:
        parts = urlsplit(url)
        found = _AWS_HOST.match(parts.hostname or "")
        own = None if found else f"{parts.scheme}://{parts.netloc}"
        named = (found[1] or found[2]) if found else None
        config = _new_config(
            retries={"mode": "standard", "total_max_attempts": 3},
            connect_timeout=5,
            read_timeout=LONG_POLL_SECONDS + 10,
        )
        try:
            self._client: Any = _new_session().client(
                "sqs", region_name=named or region, endpoint_url=own, config=config
            )
        except (BotoCoreError, ValueError) as error:
            raise SettingsError(f"no client for INDEX_QUEUE_URL can be made: {error}") from error
        self._url = url

    def receive(self, wait: int = LONG_POLL_SECONDS) -> list[QueuedMessage]:
        """At most ten messages, waiting up to `wait` seconds for the first."""
        with translated("ReceiveMessage"):
            answer = self._client.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=_BATCH,
                WaitTimeSeconds=wait,
                AttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
            )
        return [_message(row) for row in answer.get("Messages") or ()]

    def delete(self, handles: Sequence[str]) -> None:
        """Take messages out for good; one that is not deleted after all only comes again."""
        for start in range(0, len(handles), _BATCH):
            part = handles[start : start + _BATCH]
            entries = [{"Id": str(number), "ReceiptHandle": handle} for number, handle in enumerate(part)]
            with translated("DeleteMessageBatch"):
                self._client.delete_message_batch(QueueUrl=self._url, Entries=entries)

    def waiting(self) -> int:
        """About how many messages wait."""
        return self._waiting(self._url)

    def dead(self) -> int | None:
        """About how many messages lie in the queue's dead-letter queue, None when it has none."""
        with translated("GetQueueAttributes"):
            found = self._client.get_queue_attributes(QueueUrl=self._url, AttributeNames=["RedrivePolicy"])
            policy = (found.get("Attributes") or {}).get("RedrivePolicy")
            if not policy:
                return None
            arn = str(orjson.loads(policy)["deadLetterTargetArn"])
            account, name = arn.split(":")[-2:]
            url = self._client.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)["QueueUrl"]
        return self._waiting(url)

    def _waiting(self, url: str) -> int:
        name = "ApproximateNumberOfMessages"
        with translated("GetQueueAttributes"):
            found = self._client.get_queue_attributes(QueueUrl=url, AttributeNames=[name])
        return int((found.get("Attributes") or {}).get(name) or 0)


def _message(row: dict[str, Any]) -> QueuedMessage:
    attributes = row.get("Attributes") or {}
    sent = attributes.get("SentTimestamp")
    return QueuedMessage(
        row["ReceiptHandle"],
        row["Body"],
        int(attributes.get("ApproximateReceiveCount") or 1),
        None if sent is None else int(sent) / 1000,
    )
