"""Keys of an identity provider over processes: it is asked once in an interval, all learn what it said."""

import threading

import pytest

from dicomweb_gateway.access.fetching import DocumentFetcher, FetchError
from dicomweb_gateway.access.jwks import Issuer, KeyKeeper
from dicomweb_gateway.access.keys import parse_key_set
from dicomweb_gateway.access.shared_keys import SharedKeys
from tests.access.provider import Provider, jwk


@pytest.fixture
def provider():
    made = Provider([jwk("one")])
    yield made
    made.close()


class House:
    """Two processes of one gateway with a clock of their own."""

    def __init__(self, provider, folder):
        self.now = 1000.0
        self.keepers = [self._keeper(provider, folder) for _ in range(2)]

    def _keeper(self, provider, folder):
        issuer = Issuer(provider.issuer, None, DocumentFetcher())
        shared = SharedKeys(issuer, folder, interval=10, clock=lambda: self.now)
        return KeyKeeper(shared.fetch, interval=10, clock=lambda: self.now, newer=shared.newer)


@pytest.fixture
def house(provider, tmp_path):
    return House(provider, tmp_path)


def test_a_flood_of_unknown_keys_in_two_processes_causes_one_fetch_in_an_interval(provider, house):
    for keeper in house.keepers:
        assert keeper.key("one", "RS256") is not None
    assert provider.asked["jwks"] == 1
    for round_ in range(1, 4):
        house.now += 11
        threads = [
            threading.Thread(target=lambda k=keeper, n=n: [k.key(f"{n}-{m}", "RS256") for m in range(20)])
            for n, keeper in enumerate(house.keepers * 2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert provider.asked["jwks"] == 1 + round_


def test_a_key_that_one_process_has_found_is_known_to_the_other_at_once(provider, house):
    one, other = house.keepers
    assert one.key("one", "RS256") is not None
    assert other.key("one", "RS256") is not None
    house.now += 11
    # the other has used up its own interval for junk before the key is made
    assert other.key("junk", "RS256") is None
    asked = provider.asked["jwks"]
    house.now += 9
    assert other.key("junk", "RS256") is None
    provider.keys = [jwk("two")]
    house.now += 1.5
    assert one.key("two", "RS256") is not None
    assert provider.asked["jwks"] == asked + 1
    assert other.key("two", "RS256") is not None
    assert provider.asked["jwks"] == asked + 1
    # and what is gone there is gone here
    assert other.key("one", "RS256") is None


def test_a_provider_that_is_down_is_not_asked_by_each(provider, tmp_path):
    now = [1000.0]
    issuer = Issuer(provider.issuer, None, DocumentFetcher())
    one, other = (SharedKeys(issuer, tmp_path, clock=lambda: now[0]) for _ in range(2))
    provider.fail = 503
    for shared in (one, other):
        with pytest.raises(FetchError):
            shared.fetch()
    assert provider.asked["discovery"] == 1
    provider.fail = None
    now[0] += 6
    assert other.fetch() == one.fetch() == parse_key_set({"keys": [jwk("one")]})
    provider.fail = 503
    now[0] += 11
    with pytest.raises(FetchError):
        one.fetch()
    # what is known holds
    assert other.fetch().fetched_at == 1006.0


def test_without_a_folder_each_asks_for_itself(provider, tmp_path, caplog):
    shared = SharedKeys(Issuer(provider.issuer, None, DocumentFetcher()), tmp_path / "gone")
    assert len(shared.fetch().keys) == 1
    assert shared.newer(0.0) is None
    assert "cannot be shared" in caplog.text


def test_a_torn_file_is_none(provider, tmp_path):
    shared = SharedKeys(Issuer(provider.issuer, None, DocumentFetcher()), tmp_path)
    shared.fetch()
    (file,) = tmp_path.glob("*.json")
    for junk in (b"", b"[]", b'{"asked": 1, "other": 2}'):
        file.write_bytes(junk)
        assert shared.newer(0.0) is None
        assert len(shared.fetch().keys) == 1
