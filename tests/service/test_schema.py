"""What a gateway does with an index of another version."""

from pathlib import Path

import pytest
from sqlalchemy import text

from dicomweb_gateway.checks import run_checks
from dicomweb_gateway.errors import SettingsError
from dicomweb_gateway.index.engine import make_engine
from dicomweb_gateway.index.migrate import head_revision, upgrade
from dicomweb_gateway.service.master import upgrade_index
from dicomweb_gateway.settings import Settings, load_settings


def set_revision(url: str, revision: str) -> None:
    engine = make_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :r"), {"r": revision})
    engine.dispose()


@pytest.fixture
def settings(index_url: str, tmp_path: Path) -> Settings:
    upgrade(index_url)
    given = {"data_dir": tmp_path, "database_url": index_url, "ahi_endpoint": "http://127.0.0.1:1"}
    return load_settings(given)


def schema_line(settings: Settings) -> tuple[bool, str]:
    (line,) = (one for one in run_checks(settings) if one.name == "schema")
    return line.ok, line.detail


def test_a_newer_one_that_says_so_is_served(settings: Settings) -> None:
    set_revision(settings.index_url, "9998_from_0001")
    upgrade_index(settings)
    assert schema_line(settings) == (True, "revision 9998_from_0001: newer, and this version serves it too")


def test_one_that_is_for_later_versions_is_not(settings: Settings) -> None:
    set_revision(settings.index_url, "9998_from_9997")
    with pytest.raises(SettingsError, match="revision 9998_from_9997: newer, and not for this version"):
        upgrade_index(settings)
    assert not schema_line(settings)[0]


def test_an_older_one_is_upgraded_where_it_is_the_gateways_own(
    settings: Settings, database_kind: str
) -> None:
    set_revision(settings.index_url, "0006")
    if database_kind == "sqlite":
        upgrade_index(settings)
        assert schema_line(settings) == (True, f"revision {head_revision()}")
    else:
        with pytest.raises(SettingsError, match="db upgrade"):
            upgrade_index(settings)
        assert not schema_line(settings)[0]
