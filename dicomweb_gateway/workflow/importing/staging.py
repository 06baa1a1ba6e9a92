"""Where files wait for their job and where its logs come to: a bucket, or folders of this machine.

The names in a staging folder are numbers: no file name of this machine leaves it, and no log names one.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from dicomweb_gateway.aws.buckets import Buckets, parse_s3_uri
from dicomweb_gateway.errors import BucketError, MissingObject


class Staging(Protocol):
    """What an import needs of the place; `name` tells it from others. Raises BucketError or OSError."""

    @property
    def name(self) -> str:
        """Which place it is."""
        ...

    def held(self, folder: str) -> dict[str, int]:
        """Names and sizes of what lies in `folder`."""
        ...

    def put(self, folder: str, name: str, path: Path) -> None:
        """Have the file at `path` in `folder`, whole or not at all."""
        ...

    def drop(self, folder: str, name: str) -> None:
        """Have no such file in `folder`."""
        ...

    def input_uri(self, folder: str) -> str:
        """As a job is told where `folder` is."""
        ...

    def output_uri(self, run: str) -> str:
        """Where jobs leave their logs."""
        ...

    def clear(self, folder: str) -> None:
        """Remove `folder` and what is in it."""
        ...


class BucketStaging:
    """Below `prefix` of `bucket`; logs come to the same prefix of `output_bucket`."""

    def __init__(self, buckets: Buckets, bucket: str, prefix: str, output_bucket: str | None = None) -> None:
        self._buckets = buckets
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._output = output_bucket or bucket

    @property
    def name(self) -> str:
        """Bucket and prefix."""
        return f"s3://{self._bucket}/{self._prefix}"

    def held(self, folder: str) -> dict[str, int]:
        """See Staging."""
        found = self._buckets.objects(self._bucket, self._key(folder))
        return {one.key.rpartition("/")[2]: one.size for one in found}

    def put(self, folder: str, name: str, path: Path) -> None:
        """See Staging."""
        self._buckets.put_file(self._bucket, f"{self._key(folder)}{name}", path)

    def drop(self, folder: str, name: str) -> None:
        """See Staging."""
        self._buckets.delete(self._bucket, [f"{self._key(folder)}{name}"])

    def input_uri(self, folder: str) -> str:
        """See Staging."""
        return f"s3://{self._bucket}/{self._key(folder)}"

    def output_uri(self, run: str) -> str:
        """See Staging."""
        return f"s3://{self._output}/{self._prefix}{run}/output/"

    def clear(self, folder: str) -> None:
        """See Staging."""
        found = self._buckets.objects(self._bucket, self._key(folder))
        self._buckets.delete(self._bucket, (one.key for one in found))

    def _key(self, folder: str) -> str:
        return f"{self._prefix}{folder}/"


class FolderStaging:
    """Links below `root`, for a HealthImaging on this machine that has no S3: the emulator."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()

    @property
    def name(self) -> str:
        """The folder."""
        return self._root.as_uri()

    def held(self, folder: str) -> dict[str, int]:
        """See Staging."""
        return dict(self._links(self._root / folder))

    def put(self, folder: str, name: str, path: Path) -> None:
        """See Staging."""
        link = self._root / folder / name
        link.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            link.unlink()
        link.symlink_to(path.absolute())

    def drop(self, folder: str, name: str) -> None:
        """See Staging."""
        (self._root / folder / name).unlink(missing_ok=True)

    def input_uri(self, folder: str) -> str:
        """See Staging."""
        (self._root / folder).mkdir(parents=True, exist_ok=True)
        return f"{(self._root / folder).as_uri()}/"

    def output_uri(self, run: str) -> str:
        """See Staging."""
        return f"{(self._root / run / 'output').as_uri()}/"

    def clear(self, folder: str) -> None:
        """See Staging."""
        for name, _ in list(self._links(self._root / folder)):
            (self._root / folder / name).unlink(missing_ok=True)
        with suppress(OSError):
            (self._root / folder).rmdir()

    def _links(self, folder: Path) -> Iterator[tuple[str, int]]:
        if not folder.is_dir():
            return
        for entry in os.scandir(folder):
            with suppress(OSError):
                yield entry.name, entry.stat().st_size


class JobOutput:
    """Reads what a job left below its output URI, `s3://` or `file://`."""

    def __init__(self, buckets: Buckets | None) -> None:
        self._buckets = buckets

    def read(self, uri: str, name: str) -> bytes | None:
        """One file, None when the job left none. BucketError, OSError."""
        if not uri.startswith("s3://"):
            path = Path(unquote(urlsplit(uri).path, errors="surrogateescape")) / name
            return path.read_bytes() if path.exists() else None
        if self._buckets is None:
            raise BucketError(f"the job's logs lie in S3: {uri}")
        place = parse_s3_uri(uri)
        try:
            return self._buckets.read(place.bucket, f"{place.prefix.rstrip('/')}/{name}")
        except MissingObject:
            return None
