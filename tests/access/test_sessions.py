"""Sessions: how long they hold, where they are known, and what is kept of them."""

from dataclasses import replace
from threading import Event, Thread

import pytest

from dicomweb_gateway.access.caller import Caller
from dicomweb_gateway.access.session_content import digest_of, opened, seal
from dicomweb_gateway.access.sessions import SessionLimits, Sessions
from dicomweb_gateway.shared.addresses import SharedCacheConfig
from dicomweb_gateway.shared.cache import SharedCache
from tests.access.kept_rows import InDatabase
from tests.shared.servers import KINDS, CacheServer, wait_for

ANNA = Caller("anna", "basic", "", frozenset({"readers"}))
LIMITS = SessionLimits(idle=600, absolute=3600, kept=5)


class House:
    """One place; `instance` makes a gateway's sessions on it, all with the same clock."""

    def __init__(self, place):
        self.place = place
        self.now = 1_000_000.0
        self.queries = place.asked

    def instance(self, still=lambda caller, _: caller, tier=None, secret=b"of the service"):
        return Sessions(
            self.place.sessions(), still, secret, LIMITS, tier, lambda: self.now, lambda work: work()
        )


@pytest.fixture
def house(place):
    return House(place)


def names(sessions, *ids):
    found = [sessions.find(one) for one in ids]
    return [None if session is None else session.caller.name for session in found]


def test_a_session_is_known_on_every_instance_and_after_a_restart(house):
    session_id, made = house.instance().begin(ANNA, "proof", "id token")
    for _ in range(2):
        found = house.instance().find(session_id)
        assert found == made
        assert (found.caller, found.proof, found.id_token) == (ANNA, "proof", "id token")
        assert len(found.csrf) == 64


def test_nothing_that_opens_a_session_is_kept(house):
    session_id, made = house.instance().begin(ANNA, id_token="secret-id-token")
    kept = house.place.kept()
    assert digest_of(session_id) in kept
    for secret in (session_id, "anna", "readers", "secret-id-token", made.csrf):
        assert secret not in kept
    assert digest_of(session_id) not in (session_id, made.csrf)


@pytest.mark.parametrize("wrong", ["", "x", "a" * 43, "a" * 44, "ä" * 43, "' OR 1=1 --", "a" * 100_000, None])
def test_what_is_no_session_is_nobody(house, wrong):
    sessions = house.instance()
    session_id, made = sessions.begin(ANNA)
    assert sessions.find(made.row.digest if wrong is None else wrong) is None
    assert names(sessions, session_id) == ["anna"]


def test_ids_that_the_service_never_made_are_not_looked_up(house):
    sessions = house.instance()
    session_id, _ = sessions.begin(ANNA)
    random, _, tag = session_id.partition(".")
    del house.queries[:]
    for wrong in (f"{'a' * 43}.{tag}", f"{random}.{'0' * 32}", random, f"{random}.{tag}0", f"{tag}.{random}"):
        assert sessions.find(wrong) is None
        sessions.end(wrong)
    assert house.instance(secret=b"of another").find(session_id) is None
    assert house.queries == []
    assert names(sessions, session_id) == ["anna"]


def test_ids_are_all_different(house):
    sessions = house.instance()
    assert len({sessions.begin(ANNA)[0] for _ in range(50)}) == 50


def test_it_ends_when_it_was_not_used(house):
    session_id, _ = house.instance().begin(ANNA)
    house.now += 599
    assert names(house.instance(), session_id) == ["anna"]
    house.now += 599
    assert names(house.instance(), session_id) == ["anna"]
    house.now += 600
    assert names(house.instance(), session_id) == [None]


def test_it_ends_in_any_case(house):
    sessions = house.instance()
    session_id, _ = sessions.begin(ANNA)
    for _ in range(35):
        house.now += 100
        assert names(sessions, session_id) == ["anna"]
    house.now += 99
    assert names(sessions, session_id) == ["anna"]
    # known a moment ago all the same
    house.now += 1
    assert names(sessions, session_id) == [None]


def test_use_is_noted_rarely_and_nothing_is_asked_for_seconds(house):
    sessions = house.instance()
    session_id, _ = sessions.begin(ANNA)
    sessions.find(session_id)
    del house.queries[:]
    for _ in range(100):
        house.now += 0.04
        assert names(sessions, session_id) == ["anna"]
    assert house.queries == []
    for _ in range(100):
        house.now += 6
        assert names(sessions, session_id) == ["anna"]
    assert 5 <= sum("UPDATE" in query for query in house.queries) <= 11


def test_a_request_that_was_under_way_does_not_bring_back_who_logged_out(house):
    sessions, removed, reading = house.instance(), Event(), Event()
    session_id, _ = sessions.begin(ANNA)
    store = sessions._store
    find, remove = store.find, store.remove

    def late_find(digest):
        row = find(digest)
        reading.set()
        assert removed.wait(10)
        # time for the logout to end, if it does not wait for this
        leaving.join(0.3)
        return row

    def told_remove(digest):
        remove(digest)
        removed.set()

    store.find, store.remove = late_find, told_remove
    asking = Thread(target=sessions.find, args=(session_id,))
    leaving = Thread(target=sessions.end, args=(session_id,))
    asking.start()
    assert reading.wait(10)
    leaving.start()
    asking.join(10)
    leaving.join(10)
    assert names(sessions, session_id) == [None]


def test_a_logout_holds_here_at_once_and_elsewhere_within_seconds(house):
    here, there = house.instance(), house.instance()
    session_id, _ = here.begin(ANNA)
    assert names(there, session_id) == ["anna"]
    here.end(session_id)
    assert names(here, session_id) == [None]
    house.now += 5
    assert names(there, session_id) == [None]


def test_logging_out_everywhere_ends_all_of_that_user_and_nobody_elses(house):
    here, there = house.instance(), house.instance()
    mine = [here.begin(ANNA)[0] for _ in range(3)]
    ben, _ = there.begin(replace(ANNA, name="ben"))
    other_login, _ = there.begin(replace(ANNA, mode="oidc"))
    here.end_all(here.find(mine[0]))
    house.now += 5
    for sessions in (here, there, house.instance()):
        assert names(sessions, *mine, ben, other_login) == [None, None, None, "ben", "anna"]


def test_a_new_login_ends_what_the_browser_had(house):
    sessions = house.instance()
    old, _ = sessions.begin(ANNA)
    new, _ = sessions.begin(replace(ANNA, name="ben"), old_id=old)
    assert new != old
    assert names(sessions, old, new) == [None, "ben"]


def test_a_session_follows_its_user(house):
    users = {"anna": ANNA}
    sessions = house.instance(lambda caller, proof: users.get(caller.name) if proof == "1" else None)
    session_id, _ = sessions.begin(ANNA, "1")
    other, _ = sessions.begin(ANNA, "2")
    assert names(sessions, session_id, other) == ["anna", None]
    users["anna"] = replace(ANNA, groups=frozenset({"fewer"}))
    house.now += 5
    assert sessions.find(session_id).caller.groups == {"fewer"}
    users.clear()
    house.now += 5
    assert names(sessions, session_id) == [None]


def test_content_opens_with_its_own_id_only():
    sealed = seal("a" * 43, {"x": 1})
    assert opened("a" * 43, sealed) == {"x": 1}
    for session_id, text_ in (("b" * 43, sealed), ("a" * 43, sealed[:-4]), ("a" * 43, ""), ("a" * 43, "ä")):
        assert opened(session_id, text_) is None


class Tier:
    """A cache that hosts share, and that loses, keeps too long, or is put by others."""

    def __init__(self):
        self.values = {}
        self.gets = 0

    def get(self, key):
        self.gets += 1
        return self.values.get(key)

    def put(self, key, value, seconds=None):
        self.values[key] = value


def test_what_one_instance_has_read_others_need_not(house):
    tier = Tier()
    here, there = house.instance(tier=tier), house.instance(tier=tier)
    session_id, _ = here.begin(ANNA)
    assert names(here, session_id) == ["anna"]
    del house.queries[:]
    assert names(there, session_id) == ["anna"]
    assert house.queries == []
    assert tier.gets == 2
    assert not any(secret in repr(tier.values) for secret in (session_id, "anna", "readers"))


def test_a_lost_cache_logs_nobody_out_and_a_stale_one_lets_nobody_in(house):
    tier = Tier()
    here, there = house.instance(tier=tier), house.instance(tier=tier)
    session_id, _ = here.begin(ANNA)
    assert names(there, session_id) == ["anna"]
    tier.values.clear()
    house.now += 5
    assert names(there, session_id) == ["anna"]
    here.end(session_id)
    # whatever it still holds is not asked for again
    for _ in range(3):
        assert names(here, session_id) == [None]
        house.now += 5
    assert names(there, session_id) == [None]
    assert names(house.instance(tier=tier), session_id) == [None]


@pytest.mark.parametrize("kind", KINDS)
def test_a_cache_server_that_dies_logs_nobody_out(tmp_path, kind):
    server, house = CacheServer(kind), House(InDatabase(tmp_path))
    try:
        found = server.settings
        memcached = (found["memcached_address"],) if "memcached_address" in found else ()
        config = SharedCacheConfig(memcached, found.get("redis_url"), timeout=2.0)
        tiers = [SharedCache(config, b"of the service") for _ in range(2)]
        here, there = (house.instance(tier=tier) for tier in tiers)
        session_id, _ = here.begin(ANNA)
        assert names(here, session_id) == ["anna"]
        wait_for(lambda: tiers[0].counts().get("stored", 0) == 1)
        assert names(there, session_id) == ["anna"]
        assert tiers[1].counts()["hits"] == 1
        server.kill()
        for _ in range(3):
            house.now += 6
            assert names(here, session_id) == names(there, session_id) == ["anna"]
        here.end(session_id)
        house.now += 6
        assert names(here, session_id) == names(there, session_id) == [None]
    finally:
        server.kill()
