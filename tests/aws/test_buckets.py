"""Objects in moto's S3, and URIs of what there is none of."""

import pytest

from dicomweb_gateway.aws import buckets as module
from dicomweb_gateway.aws.buckets import Buckets, S3Place, parse_s3_uri
from dicomweb_gateway.errors import BucketError, MissingObject
from tests.buckets import aws_server, bucket, buckets

__all__ = ["aws_server", "bucket", "buckets"]


def test_uris_are_taken_apart():
    assert parse_s3_uri("s3://a-bucket") == S3Place("a-bucket", "")
    assert parse_s3_uri("s3://a-bucket/in/x y/").uri == "s3://a-bucket/in/x y/"
    for wrong in ("s3://", "s3://A/x", "s3://a..b/x", "s3:///x", "https://a-bucket/x", "s3://a-bucket\n/x"):
        with pytest.raises(ValueError, match="no s3://"):
            parse_s3_uri(wrong)


def test_objects_go_in_and_out(buckets, bucket, tmp_path):
    (tmp_path / "one").write_bytes(b"first")
    buckets.put_file(bucket, "in/1", tmp_path / "one")
    buckets.put(bucket, "in/2", b"second")
    buckets.put(bucket, "in/", b"")
    buckets.put(bucket, "other", b"")
    assert list(buckets.objects(bucket, "in/")) == [("in/1", 5), ("in/2", 6)]
    assert buckets.read(bucket, "in/2") == b"second"
    buckets.fetch(bucket, "in/1", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"first"
    buckets.delete(bucket, (one.key for one in buckets.objects(bucket, "in/")))
    buckets.delete(bucket, [])
    assert list(buckets.objects(bucket, "")) == [("other", 0)]
    assert buckets.empty(bucket) == 2
    buckets.remove(bucket)
    with pytest.raises(MissingObject, match=r"ListObjectsV2 in bucket .* NoSuchBucket"):
        list(buckets.objects(bucket, ""))


def test_large_files_go_in_parts(buckets, bucket, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LARGE", 5 << 20)
    small = Buckets(buckets._client.meta.endpoint_url, "us-east-1")
    data = bytes(range(256)) * (6 << 12)
    (tmp_path / "large").write_bytes(data)
    try:
        small.put_file(bucket, "large", tmp_path / "large")
    finally:
        small.close()
    assert buckets.read(bucket, "large") == data
    # S3 marks what came in parts
    assert "-" in buckets._client.head_object(Bucket=bucket, Key="large")["ETag"]


def test_what_is_put_is_encrypted_with_the_key_that_is_named(aws_server, bucket):
    key = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000"
    made = Buckets(aws_server, "us-east-1", kms_key=key)
    try:
        made.put(bucket, "a", b"x")
        found = made._client.head_object(Bucket=bucket, Key="a")
    finally:
        made.close()
    assert (found["ServerSideEncryption"], found["SSEKMSKeyId"]) == ("aws:kms", key)


def test_what_is_missing_and_what_does_not_answer_are_told_apart(buckets, bucket, tmp_path):
    with pytest.raises(MissingObject):
        buckets.read(bucket, "missing")
    nobody = Buckets("http://127.0.0.1:9", "us-east-1")
    try:
        with pytest.raises(BucketError, match="failed: EndpointConnectionError") as caught:
            nobody.put(bucket, "a", b"")
    finally:
        nobody.close()
    assert not isinstance(caught.value, MissingObject)
