"""A batch of SQS records, as AWS Lambda hands them over, in the form that the watcher follows."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

from dicomweb_gateway.errors import IndexUnavailable, UpstreamError
from dicomweb_gateway.imagesets.event_queue import QueuedMessage
from dicomweb_gateway.workflow.watch import Queue, Watcher

_LOG = logging.getLogger(__name__)


class _Batch:
    """A queue of one batch: Lambda deletes for us whatever is not reported as failed."""

    def __init__(self) -> None:
        self.done: set[str] = set()

    def receive(self) -> list[QueuedMessage]:
        """Nothing: Lambda has received already."""
        return []

    def delete(self, handles: Sequence[str]) -> None:
        """Note what is done."""
        self.done.update(handles)


def follow_batch(make_watcher: Callable[[Queue], Watcher], event: dict[str, Any]) -> dict[str, Any]:
    """Follow the records of a Lambda `event`; the answer names those that are to come again.

    They are those that are no events, which so reach the dead-letter queue, and those that were not reached
    because the index did not answer.
    """
    messages = [
        QueuedMessage(
            record["messageId"],
            record["body"],
            int((record.get("attributes") or {}).get("ApproximateReceiveCount") or 1),
        )
        for record in event.get("Records") or ()
    ]
    batch = _Batch()
    try:
        make_watcher(batch).follow(messages)
    except (IndexUnavailable, UpstreamError) as error:
        _LOG.warning("a batch was broken off: %s", error)
    again = [message.handle for message in messages if message.handle not in batch.done]
    return {"batchItemFailures": [{"itemIdentifier": handle} for handle in again]}
