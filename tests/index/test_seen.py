"""How far rows of the AWS Lambda were compared with ours, and which are noted as unknown (6.4)."""

from datetime import datetime, timedelta
from types import SimpleNamespace

import orjson
import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, select, text

from dicomweb_gateway.errors import IndexUnavailable
from dicomweb_gateway.imagesets.metadata import parse_document
from dicomweb_gateway.index import migrate, seen
from dicomweb_gateway.index.engine import make_engine
from dicomweb_gateway.index.index_search import IndexSearch
from dicomweb_gateway.index.indexer import index_image_set, remove_image_set
from dicomweb_gateway.index.migrate import upgrade
from dicomweb_gateway.index.seen import look_on
from dicomweb_gateway.index.seen_tables import gateway_seen, gateway_unknown_row
from dicomweb_gateway.qido.parse import parse_query
from tests.aws_index.indexer import put_image_set
from tests.index.documents import STORE, hex_id, instance, raw_document, simple

BEGAN = datetime(2026, 1, 1)


class Clock:
    """Stands for the time of day in `seen`."""

    def __init__(self):
        self.now = BEGAN

    def __call__(self):
        return self.now

    def pass_lag(self):
        self.now += seen.LAG


def raw(number, instances=2):
    """Image set `number`: a study of its own, one series."""
    uid = f"1.{number}"
    made = {f"{uid}.1.{n}": instance(f"{uid}.1.{n}") for n in range(1, instances + 1)}
    # an issuer of its own, whose row two transactions would wait for each other on
    patient = {"PatientID": f"P{number}", "IssuerOfPatientID": f"I{number}"}
    return raw_document(uid, {f"{uid}.1": made}, name=str(number), patient=patient)


class House:
    """An AWS database with our tables on top; `theirs` writes as the Lambda does, `ours` as our indexer."""

    def __init__(self, url):
        self.url, self.engine = url, make_engine(url)

    def theirs(self, *numbers, instances=2):
        for number in numbers:
            with self.engine.begin() as connection:
                put_image_set(connection, raw(number, instances))

    def ours(self, number, instances=2, version=1):
        document = parse_document(orjson.dumps(raw(number, instances)))
        index_image_set(self.engine, document, version=version)

    def run(self, statement):
        with self.engine.begin() as connection:
            connection.execute(text(statement))

    def upto(self):
        with self.engine.connect() as connection:
            return {row.kind: row.upto for row in connection.execute(select(gateway_seen))}

    def noted(self):
        """Image sets (the last 4 digits) and instances that are noted."""
        query = (
            "SELECT COALESCE(s.imagesetid, i.sopinstanceuid) FROM gateway_unknown_row n "
            "LEFT JOIN imageset s ON n.kind = 'imageset' AND s.imageset_pkey = n.pkey "
            "LEFT JOIN instance i ON n.kind = 'instance' AND i.instance_pkey = n.pkey"
        )
        with self.engine.connect() as connection:
            return set(connection.execute(text(query)).scalars())

    def found(self, level):
        key = {"study": "0020000D", "series": "0020000E", "instance": "00080018"}[level]
        rows = IndexSearch(self.engine)(parse_query(level, [])).rows
        return sorted(row[key]["Value"][0] for row in rows)


def names(*numbers, instances=2):
    """What `House.noted` says of image sets that nobody but the Lambda wrote."""
    uids = {f"1.{number}.1.{n}" for number in numbers for n in range(1, instances + 1)}
    return uids | {hex_id(str(number)) for number in numbers}


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(seen, "_now", made)
    return made


@pytest.fixture
def house(aws_url):
    upgrade(aws_url)
    made = House(aws_url)
    yield made
    made.engine.dispose()


def test_sqlite_needs_none_of_it(tmp_path):
    url = f"sqlite:///{tmp_path}/index.db"
    upgrade(url)
    engine = make_engine(url)
    index_image_set(engine, simple("1.2", "a"), version=1)
    assert not look_on(engine)
    with engine.connect() as connection:
        assert connection.execute(select(gateway_seen)).all() == []
    engine.dispose()


def test_each_call_goes_to_the_newest_row_of_the_call_before(house, clock):
    house.ours(1)
    house.theirs(2)
    assert look_on(house.engine)  # says how far, looks at nothing
    assert house.noted() == set()
    assert set(house.upto().values()) == {0}
    house.theirs(3)
    clock.pass_lag()
    assert look_on(house.engine)
    assert house.noted() == names(2)
    clock.pass_lag()
    assert not look_on(house.engine)
    assert house.noted() == names(2, 3)
    assert not look_on(house.engine)
    assert house.found("study") == ["1.1", "1.2", "1.3"]


def test_nothing_is_looked_at_before_the_lag_is_over(house, clock):
    house.theirs(1)
    look_on(house.engine)
    clock.now += seen.LAG - timedelta(microseconds=1)
    assert look_on(house.engine)
    assert house.noted() == set()
    clock.now += timedelta(microseconds=1)
    assert not look_on(house.engine)
    assert house.noted() == names(1)


def test_rows_are_looked_at_in_portions(house, clock, monkeypatch):
    monkeypatch.setattr(seen, "PORTION", 2)
    house.theirs(*range(1, 6), instances=3)
    look_on(house.engine)
    clock.pass_lag()
    assert not look_on(house.engine)
    assert house.noted() == names(*range(1, 6), instances=3)


def test_an_empty_index_has_nothing_left(house, clock):
    assert not look_on(house.engine)
    clock.pass_lag()
    assert not look_on(house.engine)
    house.theirs(1)
    assert look_on(house.engine)
    clock.pass_lag()
    assert not look_on(house.engine)
    assert house.noted() == names(1)


def test_notes_of_what_is_indexed_or_gone_vanish(house, clock):
    house.theirs(1, 2, 3)
    look_on(house.engine)
    clock.pass_lag()
    look_on(house.engine)
    house.ours(1)
    remove_image_set(house.engine, STORE, hex_id("2"))
    look_on(house.engine)
    with house.engine.connect() as connection:
        assert len(connection.execute(select(gateway_unknown_row)).all()) == 3
    assert house.noted() == names(3)


def test_an_instance_of_a_newer_version_is_noted_until_it_is_indexed(house, clock):
    house.ours(1)
    house.theirs(1, instances=3)
    look_on(house.engine)
    clock.pass_lag()
    look_on(house.engine)
    assert house.noted() == {"1.1.1.3"}
    house.ours(1, instances=3, version=2)
    look_on(house.engine)
    assert house.noted() == set()


def test_a_row_that_is_committed_behind_later_ones_is_not_passed_over(house, clock):
    """The Lambda's transaction holds its keys while later rows are committed and looked at."""
    slow = create_engine(house.url, isolation_level="READ COMMITTED")
    impatient = make_engine(f"{house.url}&init_command=SET SESSION innodb_lock_wait_timeout=1")
    house.ours(1)
    with slow.connect() as connection:
        put_image_set(connection, raw(2))
        house.theirs(3)
        look_on(house.engine)
        clock.pass_lag()
        assert look_on(impatient)  # waits for the row, gives up, says that something is left
        assert house.noted() == set()
        assert house.found("study") == ["1.1", "1.3"]
        connection.commit()
    assert house.found("study") == ["1.1", "1.2", "1.3"]
    clock.pass_lag()
    assert not look_on(house.engine)
    assert house.noted() == names(2, 3)
    assert house.found("instance") == sorted(f"1.{n}.1.{i}" for n in (1, 2, 3) for i in (1, 2))
    slow.dispose()
    impatient.dispose()


def test_a_row_that_is_rolled_back_is_no_hindrance(house, clock):
    slow = create_engine(house.url, isolation_level="READ COMMITTED")
    with slow.connect() as connection:
        put_image_set(connection, raw(2))
        house.theirs(3)
        look_on(house.engine)
        connection.rollback()
    clock.pass_lag()
    assert not look_on(house.engine)
    assert house.noted() == names(3)
    slow.dispose()


def test_a_look_that_breaks_off_is_gone_on_with(house, clock, monkeypatch):
    """Each portion is noted together with how far it reaches, or not at all."""
    monkeypatch.setattr(seen, "PORTION", 2)
    house.theirs(*range(1, 6), instances=1)
    look_on(house.engine)
    clock.pass_lag()
    put, left = seen._put, [1]

    def put_once(*arguments, **values):
        if not left.pop() if left else True:
            raise IndexUnavailable("gone")
        put(*arguments, **values)

    monkeypatch.setattr(seen, "_put", put_once)
    with pytest.raises(IndexUnavailable):
        look_on(house.engine)
    assert house.noted() == {hex_id("1"), hex_id("2")}
    assert house.upto()["imageset"] == 2
    assert house.found("study") == [f"1.{n}" for n in range(1, 6)]
    monkeypatch.setattr(seen, "_put", put)
    assert not look_on(house.engine)
    assert house.noted() == names(*range(1, 6), instances=1)


def test_one_that_looks_while_others_get_further_does_not_turn_them_back(house, clock, monkeypatch):
    """Else what they noted would be noted twice, which fails for ever after."""
    house.ours(1)
    look_on(house.engine)
    clock.pass_lag()
    keep_out = seen._keep_others_out

    def look_behind_another(connection, *arguments):
        monkeypatch.setattr(seen, "_keep_others_out", keep_out)
        house.theirs(2, 3)
        look_on(house.engine)
        clock.pass_lag()
        house.theirs(4)
        assert look_on(house.engine)
        assert house.noted() == names(2, 3)
        return keep_out(connection, *arguments)

    monkeypatch.setattr(seen, "_keep_others_out", look_behind_another)
    assert look_on(house.engine)
    assert house.noted() == names(2, 3)
    clock.pass_lag()
    assert not look_on(house.engine)
    assert house.noted() == names(2, 3, 4)
    assert house.found("study") == ["1.1", "1.2", "1.3", "1.4"]
    assert house.found("instance") == sorted(f"1.{n}.1.{i}" for n in (1, 2, 3, 4) for i in (1, 2))


@pytest.mark.parametrize("goes", ["the image set", "its instances"])
def test_what_leaves_our_tables_and_not_those_of_the_lambda_is_found(house, clock, goes):
    """Rows that were known when they were looked at, of which the Lambda then noted a copy."""
    house.ours(1, instances=3)
    house.ours(2)
    copy = {**raw(1, instances=2), "ImageSetID": hex_id("copy")}
    with house.engine.begin() as connection:
        put_image_set(connection, copy)
    for _ in range(2):
        look_on(house.engine)
        clock.pass_lag()
    assert house.noted() == {hex_id("copy")}
    if goes == "the image set":
        remove_image_set(house.engine, STORE, hex_id("1"))
    else:
        document = raw(1, instances=3)
        del document["Study"]["Series"]["1.1.1"]["Instances"]["1.1.1.1"]
        index_image_set(house.engine, parse_document(orjson.dumps(document)), version=2)
    left = {"1.1.1.1", "1.1.1.2"} if goes == "the image set" else {"1.1.1.1"}
    assert house.noted() == left | {hex_id("copy")}
    kept = [] if goes == "the image set" else ["1.1.1.3"]
    assert house.found("instance") == ["1.1.1.1", "1.1.1.2", *kept, "1.2.1.1", "1.2.1.2"]
    house.theirs(3)
    for _ in range(2):
        clock.pass_lag()
        look_on(house.engine)
    assert house.noted() == left | {hex_id("copy")} | names(3)


def migrate_again(house, monkeypatch):
    """What revision 0006 does, as if it had broken off before it was noted."""
    revision = ScriptDirectory(str(migrate.scripts_folder())).get_revision("0006").module
    monkeypatch.setattr(revision, "PORTION", 2)
    with house.engine.begin() as connection:
        monkeypatch.setattr(revision, "op", SimpleNamespace(get_bind=lambda: connection))
        revision.upgrade()


def test_the_migration_compares_what_is_there(house, clock, monkeypatch):
    house.ours(1, instances=3)
    house.theirs(2, 3)
    house.ours(4)
    house.theirs(4, instances=3)
    for table in ("gateway_seen", "gateway_unknown_row"):
        house.run(f"DROP TABLE {table}")
    for _ in range(2):
        migrate_again(house, monkeypatch)
        assert house.noted() == names(2, 3) | {"1.4.1.3"}
        newest = {kind: f"(SELECT MAX({kind}_pkey) FROM {kind})" for kind in ("imageset", "instance")}
        with house.engine.connect() as connection:
            numbers = connection.execute(text(f"SELECT {', '.join(newest.values())}")).one()
        assert house.upto() == dict(zip(newest, numbers, strict=True))
        # what a run that broke off left behind
        house.run("INSERT INTO gateway_unknown_row VALUES ('imageset', 1)")
        house.run("DELETE FROM gateway_seen WHERE kind = 'instance'")
    migrate_again(house, monkeypatch)
    assert not look_on(house.engine)
    assert house.noted() == names(2, 3) | {"1.4.1.3"}


def test_the_migration_has_nothing_to_compare_where_the_lambda_alone_wrote(house, monkeypatch):
    house.theirs(1, 2)
    migrate_again(house, monkeypatch)
    assert house.upto() == {}
    assert house.noted() == set()


def test_an_index_of_the_revision_before_is_searched_right_after_the_upgrade(house, monkeypatch):
    house.ours(1)
    house.theirs(2)
    for table in ("gateway_seen", "gateway_unknown_row"):
        house.run(f"DROP TABLE {table}")
    house.run("UPDATE alembic_version SET version_num = '0005'")
    upgrade(house.url)
    assert house.noted() == names(2)
    assert house.found("study") == ["1.1", "1.2"]
