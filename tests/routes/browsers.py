"""Gateways that browsers log in to, on one database, and a browser with its cookies."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from dicomweb_gateway.access.audit_log import AuditLog
from dicomweb_gateway.access.authentication import Authenticator
from dicomweb_gateway.access.basic import BasicLogin
from dicomweb_gateway.access.claims import ClaimRules
from dicomweb_gateway.access.code_login import CodeClient, CodeLogin
from dicomweb_gateway.access.discovery import EndpointKeeper
from dicomweb_gateway.access.fetching import DocumentFetcher
from dicomweb_gateway.access.jwks import Issuer, KeyKeeper
from dicomweb_gateway.access.oidc import OidcLogin
from dicomweb_gateway.access.page_login import PageDoors, PageLogin
from dicomweb_gateway.access.passwords import Cost, hash_password
from dicomweb_gateway.access.rows import text_of
from dicomweb_gateway.access.sessions import SessionLimits, Sessions
from dicomweb_gateway.access.tickets import TicketLimits, Tickets
from dicomweb_gateway.access.users import TABLE, UserRow, read_users
from dicomweb_gateway.app import create_app
from dicomweb_gateway.index.engine import make_engine
from dicomweb_gateway.index.sessions import SqlSessions
from dicomweb_gateway.index.tickets import SqlTickets
from dicomweb_gateway.service.session_stores import SessionStores
from dicomweb_gateway.web.services import Services
from tests.e2e.login_page import CLIENT
from tests.routes.archive import House, build

ROOT = "https://gw.example.org"
PASSWORD = "correct horse"


@dataclass
class Site:
    """A service of any number of gateways on one database; `now` is their clock, for sessions."""

    folder: Path
    house: House
    now: float = 1_000_000.0

    def services(
        self,
        issuer: str | None = None,
        with_form: bool = True,
        stores: SessionStores | None = None,
        **more: Any,
    ) -> Services:
        """Those of one more gateway: with a form for the users' file, and the provider `issuer`.

        `stores`: of sessions and tickets; None: those of the database.
        """
        form = BasicLogin(self.folder / "users") if with_form else None
        code, oidc = _code(issuer) if issuer is not None else (None, None)
        doors = PageDoors(form, code)
        engine = make_engine(f"sqlite:///{self.folder / 'index.sqlite'}")
        stores = stores or SessionStores(SqlSessions(engine), SqlTickets(engine))
        tickets = Tickets(
            stores.tickets,
            doors.still,
            b"tickets",
            TicketLimits(1200, 2400),
            lambda: self.now,
            lambda work: work(),
        )
        sessions = Sessions(
            stores.sessions,
            doors.still,
            b"secret",
            SessionLimits(600, 3600),
            None,
            lambda: self.now,
            lambda work: work(),
            tickets.forget,
        )
        config = replace(self.house.services.config, public_url=ROOT, host_rule_on=False)
        return replace(
            self.house.services,
            config=config,
            ready=None,
            authenticator=Authenticator(oidc=oidc, basic=form, sessions=sessions, tickets=tickets),
            page_login=PageLogin(doors, sessions, b"secret", tickets),
            audit=AuditLog(self.folder / "audit"),
            **more,
        )

    def browser(self, services: Services | None = None, app: Any = None, **more: Any) -> "Browser":
        """A browser that has been nowhere, at `app` or a gateway with `services`, by default a new one."""
        return Browser(app or create_app(services or self.services(**more)))

    def audited(self) -> str:
        """The audit log."""
        return (self.folder / "audit").read_text()


def _code(issuer: str) -> tuple[CodeLogin, OidcLogin]:
    fetcher = DocumentFetcher()
    rules = ClaimRules(issuer, clients=frozenset({CLIENT}))
    oidc = OidcLogin(rules, KeyKeeper(Issuer(issuer, None, fetcher).fetch))
    client = CodeClient(issuer, CLIENT)
    return CodeLogin(client, rules, oidc, EndpointKeeper(issuer, fetcher), fetcher, b"codes"), oidc


class Browser:
    """A person's browser: sends cookies, and Origin with forms."""

    def __init__(self, app: Any) -> None:
        self.client = app.test_client()
        self.csrf = ""

    def at(self, app: Any) -> "Browser":
        """The same browser at another gateway of the service."""
        other = Browser(app)
        other.client._cookies = self.client._cookies
        other.csrf = self.csrf
        return other

    def open(self, path: str, method: str = "GET", **headers: str) -> Any:
        """What comes of an address that a person opens."""
        own = {"Accept": "text/html,*/*;q=0.8", "Sec-Fetch-Mode": "navigate"}
        return self.client.open(path, method=method, base_url=ROOT, headers={**own, **headers})

    def ask(self, path: str, method: str = "GET", data: Any = None, **headers: str) -> Any:
        """What a script of a page gets."""
        own = {"X-Requested-With": "dicomweb-gateway", "Origin": ROOT, "X-CSRF-Token": self.csrf}
        own = {**own, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self.client.open(path, method=method, base_url=ROOT, data=data, headers=own)

    def form(self, wanted: str = "/") -> dict[str, str]:
        """The hidden fields of the login form."""
        text = self.open(f"/login?next={wanted}").get_data(as_text=True)
        return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', text))

    def send(self, path: str, fields: dict[str, str], origin: str | None = ROOT) -> Any:
        """What comes of a form."""
        headers = {"Accept": "text/html"} | ({"Origin": origin} if origin else {})
        return self.client.post(path, base_url=ROOT, data=fields, headers=headers)

    def log_in(self, name: str = "anna", password: str = PASSWORD, wanted: str = "/") -> Any:
        """By the form."""
        fields = self.form(wanted)
        self.csrf = ""
        response = self.send("/login", {**fields, "name": name, "password": password})
        self._learn()
        return response

    def log_in_there(self, get: Callable[[str], str], wanted: str = "/") -> Any:
        """By the provider; `get` gives the address to which it sends a browser that opens one of its own."""
        away = self.open(f"/login/provider?next={wanted}").headers["Location"]
        back = urlsplit(get(away))
        response = self.open(f"{back.path}?{back.query}")
        self._learn()
        return response

    def _learn(self) -> None:
        found = re.search(r'data-csrf="(\w+)"', self.open("/").get_data(as_text=True))
        self.csrf = found[1] if found else ""

    def cookie(self, name: str = "__Host-dicomweb-session") -> str | None:
        """The value of a cookie that it has."""
        found = self.client.get_cookie(name, domain="gw.example.org")
        return found.value if found else None

    def give(self, value: str, name: str = "__Host-dicomweb-session") -> None:
        """Have it hold a cookie that somebody put there."""
        self.client.set_cookie(name, value, domain="gw.example.org", path="/", secure=True)


def make_site(folder: Path) -> Site:
    """A service with the users anna and ben."""
    for name, groups in (("anna", ("readers",)), ("ben", ())):
        write_user(folder, name, PASSWORD, groups)
    return Site(folder, build(folder))


def write_user(folder: Path, name: str, password: str, groups: tuple[str, ...] = ()) -> None:
    """Put a user into the file, with a hash that costs little."""
    path = folder / "users"
    rows = {row.name: row for row in read_users(path)}
    hashed = str(hash_password(password, Cost(n=1 << 8, p=1)))
    rows[name] = UserRow(name=name, password=hashed, groups=groups)
    path.write_text(text_of(TABLE, [row.model_dump() for row in rows.values()]))
    path.chmod(0o600)


def parameters(address: str) -> dict[str, str]:
    """Those of an address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
