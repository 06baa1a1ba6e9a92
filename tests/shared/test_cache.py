"""The shared tier over real servers, and over such as are slow, full, wrong, gone and back again."""

import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from pymemcache.client.base import Client
from redis import Redis

from dicomweb_gateway.shared.addresses import SharedCacheConfig, host_and_port
from dicomweb_gateway.shared.cache import SharedCache

from .servers import KINDS, CacheServer, pretending, wait_for

KEY = ("level0", "a")


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest) -> Iterator[CacheServer]:
    found = CacheServer(request.param)
    yield found
    found.kill()


def config(server: CacheServer, **more) -> SharedCacheConfig:
    found = server.settings
    memcached = (found["memcached_address"],) if "memcached_address" in found else ()
    return SharedCacheConfig(memcached, found.get("redis_url"), **{"timeout": 2.0, **more})


def stored(cache: SharedCache, key, value: bytes) -> None:
    before = cache.counts().get("stored", 0)
    cache.put(key, value)
    wait_for(lambda: cache.counts().get("stored", 0) > before)


class Raw:
    """The server as whoever else can reach it sees it."""

    def __init__(self, server: CacheServer) -> None:
        self.redis = Redis(port=server.port, protocol=2) if server.kind == "redis" else None
        self.memcached = (
            Client(("127.0.0.1", server.port), default_noreply=False) if self.redis is None else None
        )

    def get(self, name: str) -> bytes:
        return self.redis.get(name) if self.redis is not None else self.memcached.get(name)

    def set(self, name: str, value: bytes) -> None:
        (self.redis or self.memcached).set(name, value)

    def close(self) -> None:
        (self.redis or self.memcached).close()


@pytest.fixture
def raw(server: CacheServer) -> Iterator[Raw]:
    found = Raw(server)
    yield found
    found.close()


def test_what_one_host_puts_another_gets(server):
    one, other = SharedCache(config(server), b"secret"), SharedCache(config(server), b"secret")
    assert one.get(KEY) is None
    value = bytes(range(256)) * 3000
    stored(one, KEY, value)
    assert other.get(KEY) == one.get(KEY) == value
    assert other.get(("level0", "b")) is None
    assert SharedCache(config(server), b"of another service").get(KEY) is None


def test_wrong_values_are_misses_and_counted(server, raw):
    cache = SharedCache(config(server), b"secret")
    stored(cache, KEY, b"right")
    stored(cache, ("level0", "b"), b"another")
    name, other = (cache._sealer.name(key) for key in (KEY, ("level0", "b")))
    good = raw.get(name)
    wrong = [b"", b"x", good[:-1], raw.get(other), good[:-1] + b"?", b"\0" * 900_000]
    for value in wrong:
        raw.set(name, value)
        assert cache.get(KEY) is None
    raw.set(name, good)
    assert cache.get(KEY) == b"right"
    # to a Redis an empty value is none
    assert cache.counts()["wrong"] >= len(wrong) - 1


def test_large_values_are_not_shared(server):
    cache = SharedCache(config(server, item_bytes=5000), b"secret")
    cache.put(KEY, bytes(5000))
    stored(cache, ("level0", "b"), bytes(4000))
    assert cache.get(KEY) is None
    assert cache.counts()["too_large"] == 1


def test_gone_and_back_again(server):
    cache = SharedCache(config(server, timeout=0.5), b"secret")
    stored(cache, KEY, b"value")
    server.kill()
    assert [cache.get(KEY) for _ in range(20)] == [None] * 20
    assert cache.counts()["skipped"] > 0
    server.start()

    def is_back() -> bool:
        cache.put(KEY, b"value")
        return cache.get(KEY) == b"value"

    wait_for(is_back, 30)


def test_a_server_that_is_down_is_named_until_it_is_back():
    server = CacheServer("memcached")
    try:
        cache = SharedCache(config(server, timeout=0.5), b"secret")
        cache.look()
        cache.ask_all()
        assert cache.down == ()
        server.kill()
        for _ in range(6):
            cache.look()
        assert cache.down == (f"127.0.0.1:{server.port}",)
        with pytest.raises(OSError, match=str(server.port)):
            cache.ask_all()
        server.start()

        def is_back() -> bool:
            cache.look()
            return not cache.down

        wait_for(is_back, 30)
    finally:
        server.kill()


def test_a_full_memcached_has_no_effect_but_speed():
    """Of 1 MB it evicts what was kept first."""
    server = CacheServer("memcached", ("-m", "1", "-I", "512k"))
    try:
        cache = SharedCache(config(server), b"secret")
        for number in range(100):
            stored_or_refused(cache, ("level0", str(number)), bytes([number]) * 100_000)
        found = [cache.get(("level0", str(number))) for number in range(100)]
        held = [number for number, value in enumerate(found) if value is not None]
        assert 0 < len(held) < 100
        assert all(found[number] == bytes([number]) * 100_000 for number in held)
        assert cache.down == ()
    finally:
        server.kill()


def stored_or_refused(cache: SharedCache, key, value: bytes) -> None:
    before = sum(cache.counts().get(one, 0) for one in ("stored", "failures"))
    cache.put(key, value)
    wait_for(lambda: sum(cache.counts().get(one, 0) for one in ("stored", "failures")) > before)


def test_a_full_redis_still_answers():
    server = CacheServer("redis", ("--maxmemory", "1mb", "--maxmemory-policy", "noeviction"))
    try:
        cache = SharedCache(config(server), b"secret")
        for number in range(8):
            cache.put(("level0", str(number)), bytes(400_000))
        wait_for(lambda: cache.counts().get("failures", 0) > 0)
        assert cache.get(KEY) is None
        assert cache.counts().get("skipped", 0) == 0
    finally:
        server.kill()


def test_several_memcached_servers_share_the_values():
    servers = [CacheServer("memcached") for _ in range(3)]
    try:
        addresses = tuple(one.settings["memcached_address"] for one in servers)
        cache = SharedCache(SharedCacheConfig(addresses, timeout=2.0), b"secret")
        keys = [("level0", str(number)) for number in range(60)]
        for key in keys:
            stored(cache, key, key[1].encode())
        servers[0].kill()
        left = [key for key in keys if cache.get(key) == key[1].encode()]
        assert 20 < len(left) < 60
    finally:
        for one in servers:
            one.kill()


def test_a_value_told_a_moment_ago_is_not_told_again(server):
    cache = SharedCache(config(server), b"secret")
    stored(cache, KEY, b"value")
    for _ in range(50):
        cache.put(KEY, b"value")
    stored(cache, ("level0", "b"), b"value")
    assert cache.counts()["stored"] == 2


def silent(connection: socket.socket) -> None:
    time.sleep(60)


def dripping(connection: socket.socket) -> None:
    """Begins an answer that comes for ever, each byte before any read times out."""
    with suppress(OSError):
        connection.recv(100)
        connection.sendall(b"VALUE x 0 1000000\r\n")
        while True:
            connection.sendall(b"x")
            time.sleep(0.01)


def nonsense(connection: socket.socket) -> None:
    with suppress(OSError):
        while connection.recv(100):
            connection.sendall(b"\xff\x00 what?\r\n" * 10)


@pytest.mark.parametrize("answer", [silent, dripping, nonsense])
@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_only_pretends_delays_nobody_beyond_the_timeout(answer, kind):
    with pretending(answer) as port:
        address = f"127.0.0.1:{port}"
        found = SharedCacheConfig(memcached=(address,))
        if kind == "redis":
            found = SharedCacheConfig(redis_url=f"redis://{address}")
        cache = SharedCache(found, b"secret")
        waits = []
        for number in range(40):
            began = time.monotonic()
            assert cache.get(("level0", str(number))) is None
            waits.append(time.monotonic() - began)
            cache.put(("level0", str(number)), bytes(100_000))
        # after a few failures it is not asked at all
        assert sum(wait > 0.04 for wait in waits) < 20
        assert cache.counts()["skipped"] > 0
        assert cache.counts().get("stored", 0) == 0
        assert cache._lanes[0]._put_bytes <= 8 << 20


@pytest.mark.parametrize(
    ("text", "parts"), [("a:1", ("a", 1)), ("[::1]:11211", ("::1", 11211)), ("c.example.org:22322", None)]
)
def test_addresses(text, parts):
    assert host_and_port(text) == (parts or ("c.example.org", 22322))


@pytest.mark.parametrize("text", ["", "a", "a:", ":1", "a:0", "a:65536", "a:x", "a:٣"])
def test_other_texts_are_none(text):
    with pytest.raises(ValueError, match="host:port"):
        host_and_port(text)
