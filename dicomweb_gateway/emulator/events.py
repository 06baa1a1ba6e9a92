"""The service's events, sent to a file, a hook or a queue as they happen (healthimaging.md 4.2)."""

import logging
import queue
import random
import shlex
import subprocess
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson

from dicomweb_gateway.emulator.catalogue import Row
from dicomweb_gateway.emulator.config import EmulatorConfig, Faults

_SECONDS = 10.0
_TRIES = 3
_END = b""
_NOT_YET = ("Deleting", "Copying", "Copying With Read Only Access", "Updating")

log = logging.getLogger(__name__)

Target = Callable[[bytes], None]


def target_of(text: str, region: str) -> Target:
    """Where events go; `text` is of a form that EmulatorConfig takes.

    `file:PATH` appends lines, `exec:COMMAND` runs a command with the event as its input, `http://` and
    `https://` get it posted, `sqs:URL` sends it to the queue with this address.
    """
    kind, _, rest = text.partition(":")
    match kind:
        case "file":
            return lambda event: _append(Path(rest), event)
        case "exec":
            return lambda event: _run(shlex.split(rest), event)
        case "sqs":
            return lambda event: _send(rest, event, region)
    return lambda event: _post(text, event, {"Content-Type": "application/json"})


class Events:
    """Sends events in their order, beside the requests that cause them; `faults` gives today's switches.

    Without a target in `config` nothing is sent.
    """

    def __init__(self, config: EmulatorConfig, faults: Callable[[], Faults]) -> None:
        self._config = config
        self._faults = faults
        self._target = None if config.events is None else target_of(config.events, config.region)
        self._waiting: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._dice = random.Random(config.seed)  # noqa: S311  # faults, no secrets
        self._held: bytes | None = None
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        if self._target is not None:
            self._thread.start()

    def stop(self) -> None:
        """Send what waits, then end."""
        if self._thread.is_alive():
            if self._held is not None:
                self._waiting.put(self._held)
            self._waiting.put(_END)
            self._thread.join(_SECONDS)

    def image_set(
        self, kind: str, row: Row | dict[str, Any], version: int, source: str | None = None
    ) -> None:
        """Something happened to an image set: `kind` as in "Created"; `source` is what it was copied from."""
        name = "imagesetId" if self._faults().events_as_documented else "imageSetId"
        state = "DELETED" if kind == "Deleted" else "LOCKED" if kind in _NOT_YET else "ACTIVE"
        detail = {
            "imagingVersion": "1.0",
            "isPrimary": bool(row["is_primary"]),
            "imageSetVersion": str(version),
            "datastoreId": row["datastore_id"],
            name: row["id"],
            "imageSetState": state,
            "imageSetWorkflowStatus": kind.upper().replace(" ", "_"),
        }
        arn = f"{self._arn(row['datastore_id'])}/imageset/"
        if source is not None:
            detail["sourceImageSetArn"] = arn + source
        self._tell(f"Image Set {kind}", arn + row["id"], detail)

    def job(self, kind: str, job: Row) -> None:
        """An import job has come so far."""
        detail = {
            "imagingVersion": "1.0",
            "datastoreId": job["datastore_id"],
            "jobId": job["id"],
            "jobName": job["name"],
            "jobStatus": kind.upper().replace(" ", "_"),
            "inputS3Uri": job["input_uri"],
            "outputS3Uri": job["output_uri"],
        }
        self._tell(f"Import Job {kind}", self._arn(job["datastore_id"]), detail)

    def data_store(self, kind: str, datastore_id: str, name: str | None) -> None:
        """A data store was made, or is gone."""
        status = {"Created": "ACTIVE"}.get(kind, kind.upper())
        detail = {
            "imagingVersion": "1.0",
            "datastoreId": datastore_id,
            "datastoreName": name,
            "datastoreStatus": status,
        }
        self._tell(f"Data Store {kind}", self._arn(datastore_id), detail)

    def _arn(self, datastore_id: str) -> str:
        config = self._config
        return f"arn:aws:medical-imaging:{config.region}:{config.account}:datastore/{datastore_id}"

    def _tell(self, kind: str, resource: str, detail: dict[str, Any]) -> None:
        if self._target is None:
            return
        event = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": kind,
            "source": "aws.medical-imaging",
            "account": self._config.account,
            "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": self._config.region,
            "resources": [resource],
            "detail": detail,
        }
        self._hand_over(orjson.dumps(event))

    def _hand_over(self, event: bytes) -> None:
        faults = self._faults()
        if self._dice.random() < faults.event_loss:
            return
        times = 2 if self._dice.random() < faults.event_duplicates else 1
        if faults.events_reordered and self._held is None:
            self._held = event
            return
        held, self._held = self._held, None
        for one in (*[event] * times, *([held] if held is not None else [])):
            self._waiting.put(one)

    def _run(self) -> None:
        while (event := self._waiting.get()) != _END:
            self._send(event)

    def _send(self, event: bytes) -> None:
        if self._target is None:
            return
        for number in range(_TRIES):
            try:
                self._target(event)
                return
            except (OSError, ValueError, subprocess.SubprocessError) as error:
                log.warning("an event was not taken: %s", type(error).__name__)
                time.sleep(0.2 * 2**number)


def _append(path: Path, event: bytes) -> None:
    with path.open("ab") as file:
        file.write(event + b"\n")


def _run(command: list[str], event: bytes) -> None:
    subprocess.run(command, input=event, check=True, timeout=_SECONDS)  # noqa: S603  # whoever starts us says it


def _post(url: str, body: bytes, headers: dict[str, str]) -> None:
    request = urllib.request.Request(url, body, headers)  # noqa: S310  # of the schemes that target_of lets through
    with urllib.request.urlopen(request, timeout=_SECONDS):  # noqa: S310
        pass


def _send(url: str, event: bytes, region: str) -> None:
    """By the query protocol, as queues on this machine take it; they look at the region only."""
    day = time.strftime("%Y%m%d", time.gmtime())
    credential = f"Credential=emulator/{day}/{region}/sqs/aws4_request"
    form = {"Action": "SendMessage", "Version": "2012-11-05", "MessageBody": event.decode()}
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Authorization": f"AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=0",
    }
    _post(url, urlencode(form).encode(), headers)
