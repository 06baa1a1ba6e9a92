"""Objects in S3: listing, putting, reading, deleting; the one place that knows S3's calls and errors."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from dicomweb_gateway.aws.session import service_client
from dicomweb_gateway.errors import BucketError, MissingObject

LARGE = 64 << 20
"""Bytes from which a file goes in parts, of this size; S3 takes 10,000 of them."""

_DELETED_AT_ONCE = 1000
_PIECE = 1 << 20
_URI = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?", re.DOTALL)
_PASSING = {408, 409, 429}
"""Statuses of what may pass, beside those of failures."""
_NO_CREDENTIALS = (NoCredentialsError, PartialCredentialsError, ParamValidationError)
_MISSING = {"NoSuchKey", "NoSuchBucket", "404", "NotFound"}
_new_transfer: Any = TransferConfig


class S3Place(NamedTuple):
    """What an `s3://bucket/prefix` URI names; `prefix` may be empty."""

    bucket: str
    prefix: str

    @property
    def uri(self) -> str:
        """The URI."""
        return f"s3://{self.bucket}/{self.prefix}"


class StoredObject(NamedTuple):
    """One object of a listing; `size` in bytes."""

    key: str
    size: int


def parse_s3_uri(uri: str) -> S3Place:
    """Bucket and prefix; ValueError for anything that is no S3 URI."""
    found = _URI.fullmatch(uri)
    if found is None or ".." in found[1]:
        raise ValueError(f"{uri[:80]!r} is no s3://bucket/prefix/ URI")
    return S3Place(found[1], found[2] or "")


class Buckets:
    """S3 at `endpoint_url` (None: AWS); safe from any thread.

    What is put is encrypted with `kms_key`, where one is named. Every method raises BucketError, which is
    MissingObject where bucket or object do not exist.
    """

    def __init__(
        self,
        endpoint_url: str | None = None,
        region: str | None = None,
        connections: int = 16,
        kms_key: str | None = None,
    ) -> None:
        # the host names of a bucket's own need DNS that only AWS has
        style = {"addressing_style": "path"} if endpoint_url else {}
        self._client: Any = service_client("s3", endpoint_url, region, connections, s3=style)
        self._extra = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key} if kms_key else {}
        self._transfer = _new_transfer(
            multipart_threshold=LARGE, multipart_chunksize=LARGE, max_concurrency=4, use_threads=True
        )

    def close(self) -> None:
        """Leave no connection open."""
        self._client.close()

    def objects(self, bucket: str, prefix: str) -> Iterator[StoredObject]:
        """What lies under `prefix`, in the order of its keys; marks of folders are left out."""
        with translated("ListObjectsV2", bucket):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            for page in pages:
                for row in page.get("Contents") or ():
                    if not row["Key"].endswith("/"):
                        yield StoredObject(row["Key"], int(row["Size"]))

    def put_file(self, bucket: str, key: str, path: Path) -> None:
        """Store a file, whole or not at all; large ones in parts. OSError when it cannot be read."""
        if path.stat().st_size >= LARGE:
            with translated("PutObject", bucket):
                self._client.upload_file(
                    str(path), bucket, key, ExtraArgs=self._extra or None, Config=self._transfer
                )
            return
        with path.open("rb") as file, translated("PutObject", bucket):
            self._client.put_object(Bucket=bucket, Key=key, Body=file, **self._extra)

    def put(self, bucket: str, key: str, data: bytes) -> None:
        """Store `data`."""
        with translated("PutObject", bucket):
            self._client.put_object(Bucket=bucket, Key=key, Body=data, **self._extra)

    def read(self, bucket: str, key: str) -> bytes:
        """The whole object, in memory."""
        with translated("GetObject", bucket):
            body: bytes = self._client.get_object(Bucket=bucket, Key=key)["Body"].read()
            return body

    def fetch(self, bucket: str, key: str, path: Path) -> None:
        """The object as a file, written beside and renamed."""
        beside = path.with_name(path.name + ".part")
        with translated("GetObject", bucket):
            body = self._client.get_object(Bucket=bucket, Key=key)["Body"]
            with beside.open("wb") as file:
                for piece in body.iter_chunks(_PIECE):
                    file.write(piece)
        beside.rename(path)

    def delete(self, bucket: str, keys: Iterable[str]) -> None:
        """Remove objects; those that do not exist are gone already."""
        following = iter(keys)
        while rows := [{"Key": key} for key in islice(following, _DELETED_AT_ONCE)]:
            with translated("DeleteObjects", bucket):
                answer = self._client.delete_objects(Bucket=bucket, Delete={"Objects": rows, "Quiet": True})
            failed = answer.get("Errors") or ()
            if failed:
                raise BucketError(f"S3 did not delete {len(failed)} objects of {bucket}: {failed[0]['Code']}")

    def make(self, bucket: str) -> None:
        """A bucket of this name, made when this account has none."""
        try:
            with translated("HeadBucket", bucket):
                self._client.head_bucket(Bucket=bucket)
        except MissingObject:
            region = self._client.meta.region_name
            where = {"CreateBucketConfiguration": {"LocationConstraint": region}}
            with translated("CreateBucket", bucket):
                self._client.create_bucket(Bucket=bucket, **({} if region == "us-east-1" else where))

    def empty(self, bucket: str) -> int:
        """Remove everything, older versions too; how many objects that were."""
        count = 0
        with translated("ListObjectVersions", bucket):
            for page in self._client.get_paginator("list_object_versions").paginate(Bucket=bucket):
                rows = [
                    {"Key": row["Key"], "VersionId": row["VersionId"]}
                    for row in (*(page.get("Versions") or ()), *(page.get("DeleteMarkers") or ()))
                ]
                if rows:
                    self._client.delete_objects(Bucket=bucket, Delete={"Objects": rows, "Quiet": True})
                count += len(rows)
        return count

    def remove(self, bucket: str) -> None:
        """Delete an empty bucket."""
        with translated("DeleteBucket", bucket):
            self._client.delete_bucket(Bucket=bucket)


@contextmanager
def translated(operation: str, bucket: str) -> Iterator[None]:
    """Raise the BucketError that fits whatever the SDK raises inside."""
    try:
        yield
    except ClientError as error:
        code = (error.response.get("Error") or {}).get("Code") or "unknown"
        kind = MissingObject if code in _MISSING else BucketError
        status = (error.response.get("ResponseMetadata") or {}).get("HTTPStatusCode") or 0
        passes = kind is BucketError and (status in _PASSING or status >= 500)
        raise kind(f"S3 answered {operation} in bucket {bucket} with {code}", passes) from error
    except _NO_CREDENTIALS as error:
        raise BucketError(f"{operation} in bucket {bucket} failed: no usable AWS credentials") from error
    except (BotoCoreError, Boto3Error, ResponseParserError, HTTPError) as error:
        message = f"{operation} in bucket {bucket} failed: {type(error).__name__}"
        raise BucketError(message, may_pass=True) from error
