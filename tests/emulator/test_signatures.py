"""Signatures are held against botocore's signer and everything that may be wrong in one."""

import time
from datetime import UTC, datetime

import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from dicomweb_gateway.emulator.config import EmulatorConfig
from dicomweb_gateway.emulator.errors import Forbidden, InvalidSignature, MissingSignature, UnrecognizedClient
from dicomweb_gateway.emulator.signatures import (
    Secret,
    SignedRequest,
    check_clock,
    check_signature,
    secrets_of_texts,
)
from tests.emulator.running import running

REGION = "eu-central-1"
SECRETS = {"AKID": Secret("secret"), "ASIA": Secret("other", "token/+=")}


def signed(
    url="http://host:8090/datastore/d/imageSet/i/getImageFrame", method="POST", data=b'{"a":1}', **who
):
    """The request as botocore signs it, with Host as http clients send it."""
    key, secret, token = who.get("key", "AKID"), who.get("secret", "secret"), who.get("token")
    request = AWSRequest(method, url, data=data, headers={"Content-Type": "application/json"})
    region, service = who.get("region", REGION), who.get("service", "medical-imaging")
    SigV4Auth(Credentials(key, secret, token), service, region).add_auth(request)
    headers = {name.lower(): value for name, value in request.headers.items()}
    host, _, rest = url.removeprefix("http://").partition("/")
    return SignedRequest(method, f"/{rest}", {**headers, "host": host, "user-agent": "x"}, data)


def changed(request, body=None, target=None, **headers):
    kept = {**request.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return SignedRequest(
        request.method,
        target or request.target,
        {name: value for name, value in kept.items() if value is not None},
        request.body if body is None else body,
    )


@pytest.mark.parametrize(
    "request_",
    [
        signed(),
        signed(key="ASIA", secret="other", token="token/+="),
        signed("http://h/datastore/d/searchImageSets?maxResults=50&nextToken=a%2Fb%3D%3D", data=b"{}"),
        signed("http://h/datastore?maxResults=3&datastoreStatus=ACTIVE", method="GET", data=b""),
        signed("http://h/tags/arn%3Aaws%3Amedical-imaging%3Aus-east-1%3A1%3Adatastore%2Fx", "GET", b""),
    ],
)
def test_what_botocore_signs_is_right(request_):
    check_signature(request_, SECRETS, REGION)


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (signed(key="NOBODY"), UnrecognizedClient),
        (signed(secret="wrong"), InvalidSignature),
        (signed(token="token/+="), UnrecognizedClient),
        (signed(key="ASIA", secret="other", token="old"), UnrecognizedClient),
        (signed(region="us-west-2"), InvalidSignature),
        (signed(service="s3"), InvalidSignature),
        (changed(signed(), body=b'{"a":2}'), InvalidSignature),
        (changed(signed(), target="/datastore/d/imageSet/j/getImageFrame"), InvalidSignature),
        (changed(signed(), target="/datastore/d/imageSet/i/getImageFrame?x=1"), InvalidSignature),
        (changed(signed(), host="elsewhere"), InvalidSignature),
        (changed(signed(), x_amz_date="20200101T000000Z"), InvalidSignature),
        (changed(signed(), x_amz_target="unsigned"), InvalidSignature),
        (changed(signed(), x_amz_content_sha256="0" * 64), InvalidSignature),
        (changed(signed(), authorization=None), MissingSignature),
        (changed(signed(), authorization="Bearer x"), MissingSignature),
    ],
)
def test_what_is_wrong_is_refused(request_, error):
    with pytest.raises(error):
        check_signature(request_, SECRETS, REGION)


@pytest.mark.parametrize(("off", "fits"), [(0, True), (290, True), (-290, True), (310, False), (-310, False)])
def test_a_request_may_be_five_minutes_off(off, fits):
    now = time.time()
    headers = {"x-amz-date": datetime.fromtimestamp(now + off, UTC).strftime("%Y%m%dT%H%M%SZ")}
    if fits:
        check_clock(headers, now)
    else:
        with pytest.raises(InvalidSignature, match="expired" if off < 0 else "not yet current"):
            check_clock(headers, now)


def test_a_date_that_is_none_is_refused():
    with pytest.raises(Forbidden):
        check_clock({"x-amz-date": "yesterday"}, time.time())


def test_secrets_on_the_command_line():
    assert secrets_of_texts(["A:b", "C:d:e:f"]) == {"A": Secret("b"), "C": Secret("d", "e:f")}
    with pytest.raises(ValueError, match="ID:SECRET"):
        secrets_of_texts(["A"])


def test_the_emulator_lets_in_who_knows_the_secret(tmp_path):
    config = EmulatorConfig(data_dir=tmp_path, verify_signatures={"test": Secret("test")})
    with running(tmp_path, verify_signatures=config.verify_signatures) as emulator:
        datastore = emulator.datastore()
        assert emulator.client.get_datastore(datastoreId=datastore)
        assert emulator.client.search_image_sets(datastoreId=datastore, maxResults=3)
        reply = requests.get(f"{emulator.url}/datastore/{datastore}", timeout=10)
        assert (reply.status_code, reply.headers["x-amzn-ErrorType"]) == (
            403,
            "MissingAuthenticationTokenException",
        )
        assert emulator.side("GET", "health") == {"status": "OK"}
