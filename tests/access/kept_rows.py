"""The places where sessions and tickets are kept, for tests that hold for all of them."""

from contextlib import closing

from redis import Redis
from sqlalchemy import event, text

from dicomweb_gateway.index.engine import make_engine
from dicomweb_gateway.index.migrate import upgrade
from dicomweb_gateway.index.sessions import SqlSessions
from dicomweb_gateway.index.tickets import SqlTickets
from dicomweb_gateway.service.session_stores import redis_stores

PLACES = ("database", "redis")


class InDatabase:
    """A database of its own; `asked` are the statements that it was sent."""

    def __init__(self, folder):
        url = f"sqlite:///{folder}/index.db"
        upgrade(url)
        self.engine = make_engine(url)
        self.asked = []
        event.listen(self.engine, "before_cursor_execute", lambda *given: self.asked.append(given[2]))

    def sessions(self):
        return SqlSessions(self.engine)

    def tickets(self):
        return SqlTickets(self.engine)

    def kept(self):
        """All that is kept, as whoever reads it there sees it."""
        with self.engine.connect() as connection:
            tables = ("gateway_session", "gateway_ticket")
            return repr([connection.execute(text(f"SELECT * FROM {table}")).all() for table in tables])

    def close(self):
        self.engine.dispose()


class InRedis:
    """A server with nothing in it; `asked` are the calls of stores, an UPDATE for what notes a use."""

    def __init__(self, server):
        self.server = server
        self.asked = []
        self._made = []
        with closing(Redis(port=server.port, protocol=2)) as raw:
            raw.flushall()

    def stores(self, secret=b"of the service"):
        made = redis_stores(self.server.settings["redis_url"], secret)
        self._made.append(made.tickets)
        return made

    def sessions(self):
        return Asked(self.stores().sessions, self.asked)

    def tickets(self):
        return Asked(self.stores().tickets, self.asked)

    def kept(self):
        with closing(Redis(port=self.server.port, protocol=2)) as raw:
            names = sorted(raw.scan_iter())
            kinds = {name: raw.type(name) for name in names}
            values = [
                raw.zrange(name, 0, -1, withscores=True) if kinds[name] == b"zset" else raw.get(name)
                for name in names
            ]
        return repr([names, values])

    def close(self):
        for one in self._made:
            one._server.close()


class Asked:
    """A store whose calls are noted."""

    def __init__(self, store, asked):
        self._store = store
        self._asked = asked

    def __getattr__(self, name):
        self._asked.append("UPDATE" if name == "touch" else name)
        return getattr(self._store, name)


def make_place(kind, folder, redis_server):
    """A place of that kind; `redis_server` starts one, or gives the one that runs."""
    return InDatabase(folder) if kind == "database" else InRedis(redis_server())
