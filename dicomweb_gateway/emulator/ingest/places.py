"""Where an import job reads and where it leaves its logs: a folder of this machine, or a bucket in S3.

Objects are copied to a folder of the job's own first, under numbers in the order of their keys, so that no
key can name a path. A job that was interrupted goes on with the copies that are whole.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import orjson

from dicomweb_gateway.aws.buckets import Buckets, S3Place, parse_s3_uri
from dicomweb_gateway.dicom.found_files import FoundFile, find_files, printable
from dicomweb_gateway.emulator.blobs import write_durably
from dicomweb_gateway.emulator.catalogue import Row
from dicomweb_gateway.emulator.errors import InvalidRequest
from dicomweb_gateway.emulator.ingest.scan import folder_of_uri
from dicomweb_gateway.emulator.jobs import FileOutcome
from dicomweb_gateway.errors import MissingObject

_LISTING = "listing.json"
_S3 = "s3://"


@dataclass(frozen=True, slots=True)
class Source:
    """The files of one job; `keys` names those that are copies of objects, by their path here."""

    files: list[FoundFile]
    keys: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_local(self) -> bool:
        """Whether the files are this machine's own, known again by path and time."""
        return not self.keys

    def told(self, outcome: FileOutcome) -> FileOutcome:
        """`outcome` as the logs name the file: by its key where it is an object."""
        if self.is_local:
            return outcome
        message = outcome.message
        if message is not None:
            folder = os.path.dirname(next(iter(self.keys)))
            named = re.compile(rf"{re.escape(folder)}/\d{{8}}")
            message = named.sub(lambda found: self.keys.get(found[0], found[0]), message)
        return replace(outcome, path=self.keys.get(outcome.path, outcome.path), message=message)


class Places:
    """`buckets` None: the emulator has no S3. `staging` is the folder of the copies."""

    def __init__(self, staging: Path, buckets: Buckets | None) -> None:
        self._staging = staging
        self._buckets = buckets

    def check_input(self, uri: str) -> None:
        """InvalidRequest when a job cannot read there."""
        if uri.startswith(_S3):
            self._s3(uri, "inputS3Uri")
        elif not os.path.exists(folder_of_uri(uri, "inputS3Uri")):
            raise InvalidRequest("inputS3Uri names no folder or file on this machine")

    def check_output(self, uri: str) -> None:
        """InvalidRequest when a job cannot write there."""
        if uri.startswith(_S3):
            self._s3(uri, "outputS3Uri")
        else:
            folder_of_uri(uri, "outputS3Uri")

    def source(self, job: Row, running: Callable[[], None]) -> Source:
        """The files of a job; `running` raises when the work is to end. OSError, BucketError."""
        uri = job["input_uri"]
        if not uri.startswith(_S3):
            root = folder_of_uri(uri, "inputS3Uri")
            if not os.path.exists(root):
                raise FileNotFoundError(f"{root} does not exist")
            return Source(find_files(root))
        buckets, place = self._s3(uri, "inputS3Uri")
        folder = self._folder(job)
        keys = self._listing(buckets, place, folder)
        for path, key in keys.items():
            running()
            if not os.path.exists(path):
                try:
                    buckets.fetch(place.bucket, key, Path(path))
                except MissingObject:
                    # it was deleted meanwhile: the import says so of the file that is not there
                    continue
        return Source([found for path in keys for found in find_files(path)], keys)

    def write_logs(self, job: Row, files: Iterable[tuple[str, bytes]]) -> None:
        """Leave `files` (name, content) below the job's output, in their order."""
        uri = job["output_uri"]
        if uri.startswith(_S3):
            buckets, place = self._s3(uri, "outputS3Uri")
            for name, data in files:
                buckets.put(place.bucket, f"{place.prefix}{name}", data)
            return
        folder = Path(folder_of_uri(uri, "outputS3Uri"))
        for name, data in files:
            write_durably(folder / name, data)

    def forget(self, job: Row) -> None:
        """Remove the copies of a job that has ended."""
        shutil.rmtree(self._folder(job), ignore_errors=True)

    def close(self) -> None:
        """Leave no connection open."""
        if self._buckets is not None:
            self._buckets.close()

    def _folder(self, job: Row) -> Path:
        return self._staging / str(job["id"])

    def _listing(self, buckets: Buckets, place: S3Place, folder: Path) -> dict[str, str]:
        """Path to key, as listed when the job began: numbers stay with their keys over an interruption."""
        listing = folder / _LISTING
        if not listing.exists():
            folder.mkdir(parents=True, exist_ok=True)
            found = [one.key for one in buckets.objects(place.bucket, place.prefix)]
            write_durably(listing, orjson.dumps(found))
        keys = orjson.loads(listing.read_bytes())
        return {str(folder / f"{number:08d}"): printable(key) for number, key in enumerate(keys)}

    def _s3(self, uri: str, name: str) -> tuple[Buckets, S3Place]:
        if self._buckets is None:
            raise InvalidRequest(f"{name} is in S3, which this emulator has not (--s3-endpoint)")
        try:
            return self._buckets, parse_s3_uri(uri)
        except ValueError as error:
            raise InvalidRequest(f"{name}: {error}") from error
