"""TLS to a database server: a MariaDB with a certificate of its own authority, and one without any."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from dicomweb_gateway.errors import IndexUnavailable
from dicomweb_gateway.index.engine import make_engine, reading
from tests.certificates import write_certificate
from tests.databases import PrivateMariaDb, need_mariadb


@pytest.fixture(scope="module", params=["127.0.0.1", "192.0.2.1"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple]:
    """URL, certificate, and whether the certificate is for the address that the server listens on."""
    need_mariadb()
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = write_certificate(folder, request.param)
    database = PrivateMariaDb(folder / "server")
    database.install()
    database.start(f"--ssl-cert={certificate}", f"--ssl-key={key}")
    yield f"{database.url}/mysql", certificate, request.param == "127.0.0.1"
    database.stop()


def cipher(url: str) -> str:
    engine = make_engine(url, statement_timeout=5)
    try:
        with reading(engine) as connection:
            return str(connection.execute(text("SHOW STATUS LIKE 'Ssl_cipher'")).one()[1])
    finally:
        engine.dispose()


def test_what_is_encrypted_and_what_is_checked(server):
    url, certificate, right_name = server
    assert cipher(url)
    assert cipher(f"{url}?tls=required")
    with pytest.raises(IndexUnavailable):
        cipher(f"{url}?tls=verify")
    if right_name:
        assert cipher(f"{url}?tls=verify&tls_ca={certificate}")
    else:
        with pytest.raises(IndexUnavailable):
            cipher(f"{url}?tls=verify&tls_ca={certificate}")


def test_required_is_not_given_up(mariadb_server):
    """A server without TLS, or someone in between who says so, does not get the password."""
    if cipher(f"{mariadb_server}/mysql"):
        pytest.skip("this server makes itself a certificate")
    for wanted in ("required", "verify"):
        with pytest.raises(IndexUnavailable):
            cipher(f"{mariadb_server}/mysql?tls={wanted}")
