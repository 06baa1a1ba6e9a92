"""Tickets: how long they hold, what ends them, and what is kept of them."""

from dataclasses import replace

import pytest
from sqlalchemy import text

from dicomweb_gateway.access.caller import Caller
from dicomweb_gateway.access.session_content import digest_of
from dicomweb_gateway.access.sessions import SessionLimits, Sessions
from dicomweb_gateway.access.tickets import TicketLimits, Tickets
from dicomweb_gateway.errors import IndexUnavailable
from tests.access.kept_rows import InDatabase

ANNA = Caller("anna", "basic", "", frozenset({"readers", "research"}))
STUDY = "1.2.3"


class Host:
    """One gateway of the service: its sessions and its tickets."""

    def __init__(self, house, still):
        def clock():
            return house.now

        def aside(work):
            work()

        limits = TicketLimits(600, 1800, 5)
        self.tickets = Tickets(house.place.tickets(), still, b"tickets", limits, clock, aside)
        self.sessions = Sessions(
            house.place.sessions(),
            still,
            b"sessions",
            SessionLimits(300, 3600, 5),
            None,
            clock,
            aside,
            self.tickets.forget,
        )

    def given(self, caller=ANNA, old_id=""):
        """(id of a new session, its ticket)."""
        session_id, session = self.sessions.begin(caller, "proof", old_id=old_id)
        return session_id, self.tickets.give(session, "/aetitle", STUDY)[0]

    def knows(self, *tickets):
        return [None if (found := self.tickets.find(one)) is None else found.caller.name for one in tickets]


class House:
    """One place, and one clock for all its hosts."""

    def __init__(self, place):
        self.place = place
        self.now = 1_000_000.0
        self.queries = place.asked

    def host(self, still=lambda caller, _: caller):
        return Host(self, still)


@pytest.fixture
def house(place):
    return House(place)


def test_a_ticket_is_known_on_every_host_for_what_it_was_given(house):
    _, ticket = house.host().given()
    found = house.host().tickets.find(ticket)
    assert (found.caller, found.path, found.study) == (ANNA, "/aetitle", STUDY)
    assert digest_of(ticket).startswith(found.mark)


def test_nothing_that_opens_a_ticket_is_kept(house):
    _, ticket = house.host().given()
    kept = house.place.kept()
    assert digest_of(ticket) in kept
    for secret in (ticket, "anna", "readers", STUDY):
        assert secret not in kept


def test_what_is_no_ticket_is_not_looked_up(house):
    host = house.host()
    session_id, ticket = host.given()
    random, _, tag = ticket.partition(".")
    del house.queries[:]
    wrong = ("", "x", session_id, f"{'a' * 43}.{tag}", f"{random}.{'0' * 32}", f"{ticket}0", "a" * 100_000)
    assert host.knows(*wrong) == [None] * len(wrong)
    # nor is a ticket a session
    assert host.sessions.find(ticket) is None
    assert house.queries == []


def test_its_limits_are_its_own_and_never_beyond_its_session(house):
    host = house.host()
    session_id, ticket = host.given()
    for _ in range(3):
        house.now += 590
        assert host.knows(ticket) == ["anna"]
    assert host.sessions.find(session_id) is None
    house.now += 29
    assert host.knows(ticket) == ["anna"]
    house.now += 1
    assert host.knows(ticket) == [None]
    session_id, session = host.sessions.begin(ANNA)
    for _ in range(13):
        house.now += 250
        assert host.sessions.find(session_id) is not None
    late, told = host.tickets.give(session, "/aetitle", STUDY)
    assert told.row.ends_at == session.row.ends_at < told.row.begun_at + 1800
    house.now = session.row.ends_at
    assert host.knows(late) == [None]


def test_one_that_is_not_used_ends(house):
    host = house.host()
    _, ticket = host.given()
    house.now += 599
    assert host.knows(ticket) == ["anna"]
    house.now += 600
    assert host.knows(ticket) == house.host().knows(ticket) == [None]


def test_a_logout_ends_its_tickets_here_at_once_and_elsewhere_within_seconds(house):
    here, there = house.host(), house.host()
    session_id, ticket = here.given()
    _, others = here.given()
    assert here.knows(ticket) == there.knows(ticket) == ["anna"]
    here.sessions.end(session_id)
    assert here.knows(ticket, others) == [None, "anna"]
    house.now += 5
    assert there.knows(ticket, others) == [None, "anna"]


def test_a_logout_everywhere_ends_those_of_that_user(house):
    here, there = house.host(), house.host()
    session_id, ticket = here.given()
    _, another = there.given()
    _, bens = there.given(replace(ANNA, name="ben"))
    here.sessions.end_all(here.sessions.find(session_id))
    house.now += 5
    assert there.knows(ticket, another, bens) == here.knows(ticket, another, bens) == [None, None, "ben"]


def test_the_next_login_of_the_browser_ends_them_also_after_the_session_was_forgotten(house):
    host = house.host()
    session_id, ticket = host.given()
    house.now += 301
    # a login of somebody else takes sessions away that were not used
    host.given(replace(ANNA, name="ben"))
    assert host.knows(ticket) == ["anna"]
    host.given(old_id=session_id)
    assert host.knows(ticket) == [None]


def test_a_lookup_that_was_under_way_does_not_bring_it_back(house):
    host = house.host()
    session_id, ticket = host.given()
    store = host.tickets._store
    find = store.find

    def late_find(digest):
        row = find(digest)
        host.sessions.end(session_id)
        return row

    store.find = late_find
    host.tickets.find(ticket)
    store.find = find
    assert host.knows(ticket) == [None]


def test_it_follows_its_user_and_never_grows(house):
    users = {"anna": ANNA}
    host = house.host(lambda caller, proof: users.get(caller.name) if proof == "proof" else None)
    _, ticket = host.given()
    users["anna"] = replace(ANNA, groups=frozenset({"readers", "admins"}), scopes=frozenset({"all"}))
    house.now += 5
    found = host.tickets.find(ticket).caller
    assert (found.groups, found.scopes) == ({"readers"}, frozenset())
    users.clear()
    house.now += 5
    assert host.knows(ticket) == [None]


def test_use_costs_no_query_for_seconds(house):
    host = house.host()
    _, ticket = host.given()
    host.knows(ticket)
    del house.queries[:]
    for _ in range(40):
        house.now += 0.1
        assert host.knows(ticket) == ["anna"]
    assert house.queries == []


def test_a_session_has_so_many_and_ended_ones_go(house, monkeypatch):
    for module in ("index.tickets", "access.redis_sessions"):
        monkeypatch.setattr(f"dicomweb_gateway.{module}.MOST_TICKETS", 2)
    host = house.host()
    _, session = host.sessions.begin(ANNA)
    tickets = []
    for _ in range(3):
        tickets.append(host.tickets.give(session, "/aetitle", STUDY)[0])
        house.now += 1
    assert sorted(map(str, host.knows(*tickets))) == ["None", "anna", "anna"]
    house.now += 700
    _, last = host.tickets.give(session, "/aetitle", STUDY)
    assert last.row.digest in house.place.kept()
    assert not any(digest_of(one) in house.place.kept() for one in tickets)


def test_a_database_that_was_not_upgraded_gives_none_and_logs_out_all_the_same(tmp_path):
    house = House(InDatabase(tmp_path))
    host = house.host()
    session_id, session = host.sessions.begin(ANNA)
    _, ticket = host.given()
    with house.place.engine.begin() as connection:
        connection.execute(text("DROP TABLE gateway_ticket"))
    assert host.knows(ticket) == [None]
    with pytest.raises(IndexUnavailable, match="db upgrade"):
        host.tickets.give(session, "/aetitle", STUDY)
    host.sessions.end(session_id)
    assert host.sessions.find(session_id) is None


@pytest.mark.parametrize("everywhere", [False, True])
def test_a_session_that_has_ended_elsewhere_gives_no_more(house, everywhere):
    """Another process believes in it for some seconds: its ticket would outlive the logout."""
    host, other = house.host(), house.host()
    session_id, ticket = host.given()
    session = other.sessions.find(session_id)
    if everywhere:
        host.sessions.end_all(host.sessions.find(session_id))
    else:
        host.sessions.end(session_id)
    assert other.sessions.find(session_id) == session
    kept = house.place.kept()
    assert other.tickets.give(session, "/aetitle", STUDY) is None
    assert house.place.kept() == kept
    assert host.knows(ticket) == [None]
