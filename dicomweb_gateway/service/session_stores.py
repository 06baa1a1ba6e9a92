"""Where browsers' sessions and viewers' tickets are kept, as SESSION_STORE says."""

import hmac
from typing import NamedTuple

from dicomweb_gateway.access.sessions import SessionStore
from dicomweb_gateway.access.tickets import TicketStore
from dicomweb_gateway.errors import LoginUnavailable, SettingsError
from dicomweb_gateway.index.engine import make_engine
from dicomweb_gateway.index.secrets import shared_secret
from dicomweb_gateway.index.sessions import SqlSessions
from dicomweb_gateway.index.tickets import SqlTickets
from dicomweb_gateway.settings import Settings


class SessionStores(NamedTuple):
    """Of sessions, and of the tickets that end with them."""

    sessions: SessionStore
    tickets: TicketStore


def redis_stores(url: str, secret: bytes) -> SessionStores:
    """Those in the Redis server at `url`; `secret` is that of the service, whose rows alone they see."""
    # the client comes in here: few have it, and it takes a tenth of a web process's start
    from dicomweb_gateway.access.redis_sessions import RedisSessions
    from dicomweb_gateway.shared.redis_keeper import RedisKeeper

    sessions = RedisSessions(RedisKeeper(url), hmac.digest(secret, b"session-store", "sha256"))
    return SessionStores(sessions, sessions.tickets)


def stores_of_command(settings: Settings) -> SessionStores:
    """Those of the running service, for a command beside it."""
    engine = make_engine(settings.index_url, pool_size=1)
    if settings.session_redis is None:
        return SessionStores(SqlSessions(engine), SqlTickets(engine))
    return redis_stores(settings.session_redis, shared_secret(engine, "logins").encode())


def describe_session_store(settings: Settings) -> str | None:
    """Where sessions are, for `check`; None in the database, SettingsError where it does not serve."""
    url = settings.session_redis
    if url is None:
        return None
    from dicomweb_gateway.shared.redis_keeper import RedisKeeper

    server = RedisKeeper(url)
    try:
        server.ask()
    except LoginUnavailable as error:
        raise SettingsError(f"{server.name}: {error}") from None
    finally:
        server.close()
    return f"Redis at {server.name}"
