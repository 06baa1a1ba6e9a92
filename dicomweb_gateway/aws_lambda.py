"""`index watch` as an AWS Lambda: handler `dicomweb_gateway.aws_lambda.handle` on the SQS queue of events.

The event source mapping needs ReportBatchItemFailures; settings come from the function's environment. The
index must have been made by `db upgrade`, and `index sync`, run now and then, finds what no event told of.
"""

from functools import cache
from typing import Any

from dicomweb_gateway.index.writer import IndexWriter
from dicomweb_gateway.service.index_writing import make_index_writer
from dicomweb_gateway.service.upstream import make_image_set_store
from dicomweb_gateway.settings import load_settings
from dicomweb_gateway.workflow.event_batch import follow_batch
from dicomweb_gateway.workflow.sync import METADATA_PER_SECOND, Synchroniser
from dicomweb_gateway.workflow.watch import Queue, Watcher


def handle(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Index what a batch of SQS records tells of; names the records that are to come again."""
    return follow_batch(_watcher, event)


def _watcher(queue: Queue) -> Watcher:
    writer, synchroniser, only = _parts()
    return Watcher(queue, writer, synchroniser, lambda: only, only)


@cache
def _parts() -> tuple[IndexWriter, Synchroniser, tuple[str, ...]]:
    """Made at the first batch and kept as long as AWS keeps the process."""
    settings = load_settings()
    writer = make_index_writer(settings)
    store = make_image_set_store(settings)
    synchroniser = Synchroniser(writer, store, 1, METADATA_PER_SECOND, settings.allowed_datastores)
    return writer, synchroniser, settings.ahi_datastore_ids
