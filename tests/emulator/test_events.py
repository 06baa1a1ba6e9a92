"""Events of the emulator to files, hooks and queues (healthimaging.md 4.2)."""

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from dicomweb_gateway.emulator.config import EmulatorConfig
from dicomweb_gateway.imagesets.events import parse_event
from tests.emulator.files import ct_slice, save
from tests.emulator.running import running
from tests.sqs import aws_server, queue

__all__ = ["aws_server", "queue"]
PATIENCE = 30


def told(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def kinds(events: list[dict]) -> list[str]:
    return [event["detail-type"] for event in events]


def wait_for(path: Path, kind: str) -> list[dict]:
    until = time.monotonic() + PATIENCE
    while kind not in kinds(told(path)):
        assert time.monotonic() < until, kinds(told(path))
        time.sleep(0.02)
    return told(path)


def test_a_life_in_events(tmp_path):
    log = tmp_path / "events.jsonl"
    save(ct_slice(1), tmp_path / "in" / "1.dcm")
    with running(tmp_path, workers=1, events=f"file:{log}") as emulator:
        datastore_id = emulator.datastore()
        emulator.load(datastore_id, tmp_path / "in")
        emulator.load(datastore_id, tmp_path / "in")
        [found] = emulator.image_sets(datastore_id)
        emulator.client.copy_image_set(
            datastoreId=datastore_id,
            sourceImageSetId=found["imageSetId"],
            copyImageSetInformation={"sourceImageSet": {"latestVersionId": "2"}},
        )
        emulator.client.delete_image_set(datastoreId=datastore_id, imageSetId=found["imageSetId"])
        events = wait_for(log, "Image Set Deleted")
    assert kinds(events) == [
        *("Data Store Creating", "Data Store Created"),
        *("Import Job Submitted", "Import Job In Progress", "Image Set Created", "Import Job Completed"),
        *("Import Job Submitted", "Import Job In Progress", "Image Set Updated", "Import Job Completed"),
        *("Image Set Copying With Read Only Access", "Image Set Copying", "Image Set Copied"),
        *("Image Set Deleting", "Image Set Deleted"),
    ]
    parsed = [
        parse_event(json.dumps(event)) for event in events if event["detail-type"] == "Image Set Updated"
    ]
    assert [(one.image_set_id, one.version, one.settled) for one in parsed] == [
        (found["imageSetId"], 2, True)
    ]
    copied = next(event for event in events if event["detail-type"] == "Image Set Copied")
    assert copied["detail"]["sourceImageSetArn"].endswith(found["imageSetId"])


def test_hooks(tmp_path):
    log = tmp_path / "taken.jsonl"
    program = f"import sys; open({str(log)!r}, 'a').write(sys.stdin.read() + chr(10))"
    with running(tmp_path / "a", workers=1, events=f'exec:{sys.executable} -c "{program}"') as emulator:
        emulator.datastore()
        assert kinds(wait_for(log, "Data Store Created")) == ["Data Store Creating", "Data Store Created"]
    posted: list[dict] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with running(
            tmp_path / "b", workers=1, events=f"http://127.0.0.1:{server.server_port}/x"
        ) as emulator:
            emulator.datastore()
        server.shutdown()
        thread.join()
    assert kinds(posted) == ["Data Store Creating", "Data Store Created"]


def test_a_queue_that_index_watch_reads(tmp_path, queue):
    with running(tmp_path, workers=1, events=f"sqs:{queue.url}") as emulator:
        emulator.datastore()
    reader = queue.reader()
    bodies: list[str] = []
    while len(bodies) < 2:
        bodies += [message.body for message in reader.receive()]
    assert [json.loads(body)["detail"]["datastoreStatus"] for body in bodies] == ["CREATING", "ACTIVE"]


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        ({"event_loss": 1.0}, []),
        ({"event_duplicates": 1.0}, ["Data Store Creating"] * 2 + ["Data Store Created"] * 2),
        ({"events_reordered": True}, ["Data Store Created", "Data Store Creating"]),
    ],
)
def test_delivery_promises_nothing(tmp_path, faults, expected):
    log = tmp_path / "events.jsonl"
    with running(tmp_path, workers=1, events=f"file:{log}", **faults) as emulator:
        emulator.datastore()
    assert kinds(told(log)) == expected


@pytest.mark.parametrize("events", ["", "x", "file:", "ftp://host/", "sqs:queue"])
def test_targets_that_are_none(tmp_path, events):
    with pytest.raises(ValueError, match="events go to"):
        EmulatorConfig(data_dir=tmp_path, events=events)
