import random
from datetime import UTC, datetime
from urllib.parse import quote

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from dicomweb_gateway.imagesets.signing import AccessKey, Signer

ODD = "abcXYZ019-._~ /+=%&?#:@!$'()*,;[]{}|\\\"<>^`äß€\U0001f600\x7f"


def text(chance: random.Random, alphabet: str = ODD, least: int = 1) -> str:
    return "".join(chance.choices(alphabet, k=chance.randint(least, 40)))


def test_the_signature_is_that_of_the_sdk(monkeypatch):
    for seed in range(150):
        chance = random.Random(seed)
        now = chance.randint(1_000_000_000, 2_000_000_000)
        moment = datetime.fromtimestamp(now, UTC)
        monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda moment=moment: moment)
        assert_as_the_sdk_signs(seed, chance, now)


def assert_as_the_sdk_signs(seed: int, chance: random.Random, now: int) -> None:
    """One request that `chance` makes, signed by both; `seed` is told where they differ."""
    key = AccessKey(text(chance, "ABC234"), text(chance, ODD), text(chance, "abc/+=0") if seed % 2 else None)
    host = chance.choice(["example.com", "example.com:8443", "[::1]:9000", "127.0.0.1:80"])
    path = "".join("/" + quote("x" + text(chance), safe="") for _ in range(chance.randint(1, 4)))
    query = f"version={quote(text(chance), safe='-._~')}" if seed % 3 else ""
    body = text(chance).encode() if seed % 5 else b""
    region = chance.choice(["us-east-1", "eu-west-2"])
    scheme = "https" if ":80" not in host else "http"

    request = AWSRequest("POST", f"{scheme}://{host}{path}{'?' if query else ''}{query}", data=body)
    request.headers["Host"] = host
    if body:
        request.headers["Content-Type"] = "application/json"
    botocore.auth.SigV4Auth(Credentials(*key), "medical-imaging", region).add_auth(request)

    lines = Signer(host, region, "medical-imaging").headers(key, path, query, body, now=now)
    ours = dict(line.split(": ", 1) for line in lines)
    assert ours["Authorization"] == request.headers["Authorization"], seed
    assert ours["X-Amz-Date"] == request.headers["X-Amz-Date"], seed
    assert ours.get("X-Amz-Security-Token") == request.headers.get("X-Amz-Security-Token"), seed


def test_a_new_day_and_a_new_secret_need_a_new_key():
    signer = Signer("h", "r", "s")
    moments = [(AccessKey("a", "b"), 0), (AccessKey("a", "b"), 86_400), (AccessKey("a", "c"), 86_400)]
    kept = [signer.headers(key, "/", now=now)[-1] for key, now in moments]
    fresh = [Signer("h", "r", "s").headers(key, "/", now=now)[-1] for key, now in moments]
    assert kept == fresh
    assert len(set(kept)) == 3


def test_the_offset_moves_the_clock():
    signer = Signer("h", "r", "s")
    signer.offset = 3600
    assert "X-Amz-Date: 19700101T010000Z" in signer.headers(AccessKey("a", "b"), "/", now=0)
