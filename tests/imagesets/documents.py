"""HealthImaging metadata documents made for tests, and a store that gives them and counts."""

import os
from pathlib import Path
from threading import Lock
from typing import Any

import orjson

from dicomweb_gateway.errors import UpstreamNotFound
from dicomweb_gateway.imagesets.metadata import InstanceDocument, parse_document
from dicomweb_gateway.imagesets.store import ImageSetRef

STORE, IMAGE_SET = "d" * 32, "1" * 32
STUDY, SERIES, INSTANCE = "1.2.3", "1.2.3.1", "1.2.3.1.1"


def blob(
    tags: dict[str, Any] | None = None,
    vrs: dict[str, str] | None = None,
    *,
    patient: dict[str, Any] | None = None,
    frames: list[dict[str, Any]] | None = None,
    syntax: str | None = "1.2.840.10008.1.2.4.202",
) -> bytes:
    """A document of one instance."""
    instance = {
        "DICOM": {"SOPInstanceUID": INSTANCE, "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", **(tags or {})},
        "DICOMVRs": vrs or {},
        "StoredTransferSyntaxUID": syntax,
        "ImageFrames": frames,
    }
    return orjson.dumps(
        {
            "SchemaVersion": "1.1",
            "DatastoreID": STORE,
            "ImageSetID": IMAGE_SET,
            "Patient": {"DICOM": patient or {"PatientID": "P1"}},
            "Study": {
                "DICOM": {"StudyInstanceUID": STUDY},
                "Series": {
                    SERIES: {"DICOM": {"SeriesInstanceUID": SERIES}, "Instances": {INSTANCE: instance}}
                },
            },
        }
    )


def instance_of(data: bytes) -> InstanceDocument:
    """The only instance of a document made by `blob`."""
    found = parse_document(data).find_instance(SERIES, INSTANCE)
    assert found is not None
    return found


class CountingStore:
    """The metadata half of an image set store; calls are counted in a file that all processes share."""

    def __init__(self, log: Path, answers: dict[str | None, bytes]) -> None:
        self.answers = answers
        self._log = log
        self._lock = Lock()

    def metadata(self, ref: ImageSetRef, deadline: float | None = None) -> bytes:
        with self._lock:
            handle = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.write(handle, f"{ref.version_id}\n".encode())
            os.close(handle)
        if ref.version_id not in self.answers:
            raise UpstreamNotFound("no such image set")
        return self.answers[ref.version_id]

    @property
    def asked(self) -> list[str]:
        """Versions in the order asked."""
        return self._log.read_text().split() if self._log.exists() else []
