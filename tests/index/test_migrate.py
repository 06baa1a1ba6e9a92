from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, time
from types import SimpleNamespace

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, select, text

from dicomweb_gateway.errors import SettingsError
from dicomweb_gateway.index import migrate, side_tables
from dicomweb_gateway.index.engine import make_engine, writing
from dicomweb_gateway.index.indexer import index_image_set
from dicomweb_gateway.index.migrate import Standing
from dicomweb_gateway.index.tables import metadata, study
from tests.index.documents import document, instance, simple

AWS_TABLES = """
CREATE TABLE issuer (issuer_pkey {key}, issuerofpatientid VARCHAR(64) NOT NULL UNIQUE,
    description VARCHAR(1024));
CREATE TABLE patient (patient_pkey {key}, issuer_pkey BIGINT NOT NULL, patientid VARCHAR(64),
    patientname VARCHAR(64), patientbirthdate DATE, patientsex VARCHAR(16), patientcomments TEXT,
    UNIQUE (patientid, issuer_pkey));
CREATE TABLE study (study_pkey {key}, patient_pkey BIGINT NOT NULL,
    studyinstanceuid VARCHAR(64) NOT NULL UNIQUE,
    accessionnumber VARCHAR(16), studyid VARCHAR(16), studydate DATE, studytime TIME,
    studydescription VARCHAR(64), referringphysicianname VARCHAR(64), numberofstudyrelatedseries INT,
    numberofstudyrelatedinstances INT);
INSERT INTO issuer VALUES (1, 'DEFAULT_DOMAIN', NULL);
INSERT INTO patient VALUES (7, 1, 'KEPT', 'None', NULL, 'None', NULL)
"""


@pytest.fixture
def engine(index_url):
    """Migrated for one test alone."""
    migrate.upgrade(index_url)
    made = make_engine(index_url)
    yield made
    made.dispose()


def test_migrated_schema_is_that_of_the_tables(engine):
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_every_column_of_a_table_is_migrated_in_order(engine):
    found = inspect(engine)
    for table in metadata.sorted_tables:
        assert [c["name"] for c in found.get_columns(table.name)] == [c.name for c in table.columns]


def test_revisions(index_url):
    assert migrate.current_revision(index_url) is None
    assert migrate.standing_of(None) is Standing.BEHIND
    migrate.upgrade(index_url)
    assert migrate.current_revision(index_url) == migrate.head_revision()
    migrate.upgrade(index_url)
    assert migrate.standing_of(migrate.current_revision(index_url)) is Standing.CURRENT


@pytest.mark.parametrize(
    ("revision", "standing"),
    [
        ("0001", Standing.BEHIND),
        ("9998_from_0001", Standing.NEWER),
        (f"9998_from_{migrate.head_revision()[:4]}", Standing.NEWER),
        ("9998_from_9997", Standing.FOREIGN),
        ("9998", Standing.FOREIGN),
        ("9998_from_0001x", Standing.FOREIGN),
        ("from_0001", Standing.FOREIGN),
    ],
)
def test_a_schema_of_another_version_says_whom_it_serves(revision, standing):
    assert migrate.standing_of(revision) is standing


def test_an_older_version_leaves_a_newer_index_as_it_is(index_url):
    migrate.upgrade(index_url)
    engine = make_engine(index_url)
    for revision in ("9998_from_0001", "9998"):
        with engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = :r"), {"r": revision})
        if revision == "9998":
            with pytest.raises(SettingsError, match="not for this version"):
                migrate.upgrade(index_url)
        else:
            migrate.upgrade(index_url)
        assert migrate.current_revision(index_url) == revision
    engine.dispose()


def test_two_that_upgrade_at_once_do_not_meet(index_url):
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(migrate.upgrade, [index_url] * 3))
    assert migrate.current_revision(index_url) == migrate.head_revision()


def test_each_revision_only_adds(tmp_path):
    """What programs of the revision before read and write is there still (README, "Upgrading")."""
    engine = make_engine(f"sqlite:///{tmp_path}/index.sqlite")
    scripts = ScriptDirectory(str(migrate.scripts_folder()))
    before: dict[str, dict[str, dict]] = {}
    for script in reversed(list(scripts.walk_revisions())):
        with writing(engine) as connection:
            context = EnvironmentContext(
                Config(), scripts, fn=lambda rev, _, to=script.revision: scripts._upgrade_revs(to, rev)
            )
            context.configure(connection=connection, transaction_per_migration=True)
            with context.begin_transaction():
                context.run_migrations()
        found = inspect(engine)
        after = {
            table: {column["name"]: column for column in found.get_columns(table)}
            for table in found.get_table_names()
        }
        for table, columns in before.items():
            assert columns.keys() <= after[table].keys(), script.revision
            for name in after[table].keys() - columns.keys():
                column = after[table][name]
                assert column["nullable"] or column["default"] is not None, (script.revision, table, name)
        before = after
    assert len(before) > 10
    engine.dispose()


def test_runs_on_a_database_that_aws_made_and_filled(index_url):
    engine = make_engine(index_url)
    key = "INTEGER PRIMARY KEY" if engine.dialect.name == "sqlite" else "BIGINT AUTO_INCREMENT PRIMARY KEY"
    with engine.begin() as connection:
        for statement in AWS_TABLES.format(key=key).split(";"):
            connection.execute(text(statement))
    migrate.upgrade(index_url)
    wide = {"StudyID": "x" * 200, "AccessionNumber": "y" * 200, "StudyTime": "101112.5"}
    index_image_set(engine, simple("1.2", "a", study=wide), version=1)
    with engine.connect() as connection:
        patients = connection.execute(text("SELECT patient_pkey, patientid FROM patient ORDER BY 1")).all()
        issuers = connection.execute(text("SELECT count(*) FROM issuer")).scalar()
        columns = study.c.studyid, study.c.accessionnumber, study.c.studytime
        written = connection.execute(select(*columns)).one()
    assert patients[0] == (7, "KEPT")
    assert [row[1] for row in patients] == ["KEPT", "P1"]
    assert issuers == 1
    assert tuple(written) == ("x" * 200, "y" * 200, time(10, 11, 12, 500000))
    assert {"patient_patientid", "patient_patientname"} <= {
        index["name"] for index in inspect(engine).get_indexes("patient")
    }
    assert inspect(engine).has_table(side_tables.gateway_frame.name)
    engine.dispose()


def test_views_answer_one_row_for_each_study_and_series(engine):
    index_image_set(engine, simple("1.2", "a", series_tags={"Modality": "MR"}), version=1)
    with engine.connect() as connection:
        one = connection.execute(text("SELECT * FROM full_study_view")).one()
        series = connection.execute(text("SELECT * FROM full_series_view")).one()
    assert (one.issuerofpatientid, one.patientid, one.modalitiesinstudy) == (
        "DEFAULT_DOMAIN",
        "P1",
        "MR",
    )
    assert (series.seriesinstanceuid, series.numberofseriesrelatedinstances) == ("1.2.1", 1)


def test_an_index_of_the_first_release_is_filled_on_upgrade(index_url):
    """Names, moments and sounds that later revisions look for are made of what revision 0001 kept."""
    migrate.upgrade(index_url)
    engine = make_engine(index_url)
    moment = {"AcquisitionDateTime": "20240101103000.5", "TimezoneOffsetFromUTC": "+0100"}
    names = {"PatientName": "Müller^Jörg=山田^太郎"}
    for number in range(3):
        uid = f"1.{number}"
        made = {f"{uid}.1": {f"{uid}.1.1": instance(f"{uid}.1.1", **(moment if number else {}))}}
        study_tags = {"ReferringPhysicianName": "O Neil^Ann-Marie"}
        index_image_set(engine, document(uid, made, name=uid, patient=names, study=study_tags), version=1)
    word, one = side_tables.gateway_name_word, side_tables.gateway_instance
    columns = one.c.instance_uid, one.c.acquisitiondatetime
    with engine.begin() as connection:
        words = set(connection.execute(select(word)).all())
        moments = set(connection.execute(select(*columns)).all())
        word.drop(connection)
        connection.execute(text("ALTER TABLE gateway_instance DROP COLUMN acquisitiondatetime"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0002'"))
    migrate.upgrade(index_url)
    with engine.connect() as connection:
        assert set(connection.execute(select(word)).all()) == words
        assert set(connection.execute(select(*columns)).all()) == moments
    assert len(words) == 3 * (8 + 6)
    assert {row.acquisitiondatetime for row in moments} == {None, datetime(2024, 1, 1, 9, 30, 0, 500000)}
    engine.dispose()


def test_sounds_are_filled_in_batches_and_may_be_begun_again(engine, monkeypatch):
    for number in range(5):
        name = f"{['Meier', 'Гусева', 'Schmidt'][number % 3]}^Jörg"
        index_image_set(engine, simple(f"1.{number}", f"s{number}", patient={"PatientName": name}), version=1)
    word = side_tables.gateway_name_word
    revision = ScriptDirectory(str(migrate.scripts_folder())).get_revision("0005").module
    monkeypatch.setattr(revision, "STUDIES", 2)
    with engine.begin() as connection:
        monkeypatch.setattr(revision, "op", SimpleNamespace(get_bind=lambda: connection))
        words = set(connection.execute(select(word)).all())
        # what a run that broke off left, and a code that this revision would not make
        connection.execute(word.delete().where(word.c.word == "JRK", word.c.study_key > 2))
        connection.execute(word.update().where(word.c.word == "MR").values(word="OLD"))
        revision.upgrade()
        assert set(connection.execute(select(word)).all()) == words
    assert {row.word for row in words if row.keyword.endswith("/sound")} == {"MR", "XMT", "JRK"}
