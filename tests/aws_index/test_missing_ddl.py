"""`check` on an index that AWS alone made: what is missing, and that the lines are right."""

import pytest

from dicomweb_gateway.checks import run_checks
from dicomweb_gateway.index import missing_ddl as module
from dicomweb_gateway.index.migrate import upgrade
from dicomweb_gateway.index.missing_ddl import missing_ddl
from dicomweb_gateway.settings import load_settings


def test_the_lines_say_what_they_gain_and_work(aws_url, image_sets):
    lines = missing_ddl(aws_url)
    statements = [line.statement for line in lines]
    assert "CREATE INDEX imageset_series ON imageset (series_pkey)" in statements
    assert not any("accessionnumber" in statement for statement in statements)
    assert "db upgrade" in statements[-1]
    assert all(line.gain for line in lines)
    for statement in statements[:-1]:
        image_sets.run(statement)
    assert [line.statement for line in missing_ddl(aws_url)] == statements[-1:]


def test_nothing_is_missing_after_the_upgrade(aws_url):
    upgrade(aws_url)
    assert missing_ddl(aws_url) == []


def test_nothing_is_missing_where_there_is_nothing(tmp_path):
    assert missing_ddl(f"sqlite:///{tmp_path}/empty.db") == []


def test_every_index_has_its_reason():
    names = {str(index.name) for table in module._SEARCHED for index in table.indexes}
    assert names == set(module.GAINS)


@pytest.fixture
def proxy_settings(proxy_engine, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    url = proxy_engine.url.render_as_string(hide_password=False)
    return load_settings({"database_url": url, "data_dir": tmp_path, "ahi_endpoint": "http://127.0.0.1:1"})


def test_check_of_a_user_who_may_only_select(proxy_settings):
    results = [one for one in run_checks(proxy_settings) if one.name in ("schema", "missing", "index")]
    assert all(one.ok for one in results)
    assert [one.detail for one in results if one.name == "index"] == ["0 studies, 0 series, 0 instances"]
    assert any("imageset_series" in one.detail for one in results)
