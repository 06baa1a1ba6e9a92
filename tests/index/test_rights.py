"""What a user may do with the index, asked of real databases."""

import pytest
from sqlalchemy import make_url

from dicomweb_gateway.errors import IndexUnavailable
from dicomweb_gateway.index.migrate import upgrade
from dicomweb_gateway.index.rights import may_write
from tests.databases import on_server


def test_who_made_the_index_may_write(index_url):
    upgrade(index_url)
    assert may_write(index_url) is True


def test_a_user_who_may_select_only(mariadb_server, aws_url):
    assert may_write(aws_url) is None
    upgrade(aws_url)
    url = make_url(aws_url)
    on_server(mariadb_server, "CREATE USER looker@'%' IDENTIFIED BY 'only-looks'")
    try:
        on_server(mariadb_server, f"GRANT SELECT ON {url.database}.* TO looker@'%'")
        reader = url.set(username="looker", password="only-looks")
        assert may_write(reader.render_as_string(hide_password=False)) is False
    finally:
        on_server(mariadb_server, "DROP USER looker@'%'")


def test_a_database_that_does_not_answer():
    with pytest.raises(IndexUnavailable):
        may_write("mysql+pymysql://root@127.0.0.1:1/x")
