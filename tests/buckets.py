"""S3 in tests: moto's server, and a bucket of one's own in it."""

import itertools
from collections.abc import Iterator

import pytest

from dicomweb_gateway.aws.buckets import Buckets
from tests.sqs import aws_server

__all__ = ["aws_server", "bucket", "buckets"]

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def buckets(aws_server: str) -> Iterator[Buckets]:
    made = Buckets(aws_server, "us-east-1")
    yield made
    made.close()


@pytest.fixture
def bucket(buckets: Buckets) -> str:
    """The name of a new, empty bucket."""
    name = f"bucket-{next(_NUMBERS)}"
    buckets.make(name)
    return name
