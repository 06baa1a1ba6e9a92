"""Where a gateway, and a command beside it, look for sessions."""

import pytest
from sqlalchemy import text

from dicomweb_gateway.access.sessions import owner_of
from dicomweb_gateway.bootstrap import _logins
from dicomweb_gateway.index.engine import make_engine
from dicomweb_gateway.index.secrets import shared_secret
from dicomweb_gateway.service.logins import ALONE
from dicomweb_gateway.service.session_stores import SessionStores, stores_of_command
from dicomweb_gateway.settings import load_settings
from tests.index_files import migrated_file
from tests.shared.servers import CacheServer


class NoPlace:
    """A store that may not be asked."""


@pytest.fixture
def server():
    made = CacheServer("redis")
    yield made
    made.kill()


def test_with_redis_browsers_log_in_though_the_index_may_only_be_read(tmp_path, server):
    migrated_file(tmp_path / "index.sqlite")
    given = {
        "data_dir": tmp_path,
        "admin_password": "battery staple",
        "session_store": "redis",
        **server.settings,
    }
    settings = load_settings(given)
    engine = make_engine(settings.index_url)
    with engine.begin() as connection:
        for table in ("gateway_session", "gateway_ticket", "gateway_secret"):
            connection.execute(text(f"DROP TABLE {table}"))
    stores = SessionStores(NoPlace(), NoPlace())

    def gateway():
        return _logins(settings, ALONE, lambda: shared_secret(engine, "logins"), NoPlace(), stores)

    (_, login), (authenticator, elsewhere) = gateway(), gateway()
    caller, proof = login.doors.form.log_in("admin", "battery staple", "10.0.0.1")
    session_id, session = login.sessions.begin(caller, proof)
    ticket, _ = login.tickets.give(session, "/aetitle", "1.2.3")
    assert authenticator.sessions is elsewhere.sessions
    assert elsewhere.sessions.find(session_id) == session
    assert elsewhere.tickets.find(ticket).study == "1.2.3"
    # what `users log-out` does
    beside = stores_of_command(settings)
    beside.sessions.remove_of(owner_of("admin", "admin"))
    again = gateway()[1]
    assert again.sessions.find(session_id) is None
    assert again.tickets.find(ticket) is None
    for one in (login, elsewhere, again):
        one.tickets._store._server.close()
    beside.tickets._server.close()
    engine.dispose()
