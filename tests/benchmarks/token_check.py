"""What it costs to find out who asks: CPU of one login, by kind, verified anew and kept."""

import argparse
import json
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Request
from werkzeug.test import EnvironBuilder

from dicomweb_gateway.access.authentication import Authenticator
from dicomweb_gateway.access.basic import BasicLogin
from dicomweb_gateway.access.caller import Caller
from dicomweb_gateway.access.claims import ClaimRules
from dicomweb_gateway.access.fetching import DocumentFetcher
from dicomweb_gateway.access.jwks import Issuer, KeyKeeper
from dicomweb_gateway.access.oidc import OidcLogin
from dicomweb_gateway.access.page_login import PageDoors, PageLogin
from dicomweb_gateway.access.presented import Presented
from dicomweb_gateway.access.sessions import Sessions
from dicomweb_gateway.access.tokens import StaticTokens, add_token
from dicomweb_gateway.access.users import set_user
from dicomweb_gateway.index.engine import make_engine
from dicomweb_gateway.index.migrate import upgrade
from dicomweb_gateway.index.sessions import SqlSessions
from dicomweb_gateway.web.identity import identify
from dicomweb_gateway.web.services import HealthReport, Services, WebConfig
from tests.access.provider import Provider, jwk
from tests.benchmarks.report import plain_table

BUDGET_MS = 0.2
"""Of a token whose key is known, verified anew or kept."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="token-check", description=__doc__)
    parser.add_argument("--tokens", type=int, default=2000, help="different tokens of each kind (2000)")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the figures there")
    options = parser.parse_args()
    rows = measured(options.tokens)
    print(plain_table(rows, options.markdown))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


def measured(count: int) -> list[dict[str, Any]]:
    """A row for each kind."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for algorithm in ("RS256", "PS256", "ES256", "ES384"):
            rows += _of_algorithm(algorithm, count)
        rows += _of_files(Path(folder), count)
        rows += _of_sessions(Path(folder), count)
    return rows


def _of_algorithm(algorithm: str, count: int) -> list[dict[str, Any]]:
    provider = Provider([jwk("one", algorithm)])
    keeper = KeyKeeper(Issuer(provider.issuer, None, DocumentFetcher()).fetch)
    login = Authenticator(OidcLogin(ClaimRules(provider.issuer, frozenset({"gateway"})), keeper))
    groups = [f"group-{number}" for number in range(8)]
    made = [provider.token("one", algorithm, sub=f"user-{n}", groups=groups) for n in range(count)]
    login.caller_of(Presented(token_header=provider.token("one", algorithm)))
    asked = [Presented(authorization=f"Bearer {token}") for token in made]
    rows = [
        _row(f"{algorithm}, verified anew", login.caller_of, asked),
        _row(f"{algorithm}, kept", login.caller_of, asked),
    ]
    rows.append(_row(f"{algorithm}, kept, read from a request", *_from_requests(login, made)))
    provider.close()
    return rows


def _of_files(folder: Path, count: int) -> list[dict[str, Any]]:
    token = add_token(folder / "t", "ct", ("a",), (), None)
    set_user(folder / "u", "anna", "correct horse", ("a",))
    login = Authenticator(tokens=StaticTokens(folder / "t"), basic=BasicLogin(folder / "u"))
    basic = Presented(authorization="Basic " + b64encode(b"anna:correct horse").decode())
    return [
        _row("static token", login.caller_of, [Presented(token_header=token)] * count),
        _row("password, hashed", login.caller_of, [basic]),
        _row("password, kept", login.caller_of, [basic] * count),
    ]


def _of_sessions(folder: Path, count: int) -> list[dict[str, Any]]:
    """A browser's session, from the request on; the database is asked once in five seconds."""
    upgrade(f"sqlite:///{folder}/index.db")
    store = SqlSessions(make_engine(f"sqlite:///{folder}/index.db"))
    sessions = Sessions(store, lambda caller, _: caller, b"secret")
    session_id, _ = sessions.begin(Caller("anna", "oidc", "", frozenset({"a"})))
    login = PageLogin(PageDoors(), sessions, b"secret")
    unused: Any = object()
    config = WebConfig(("/aetitle",), "https://gw.example.org", 8080, b"k", host_rule_on=False)
    services = Services(
        config, unused, unused, HealthReport, authenticator=Authenticator(sessions=sessions), page_login=login
    )
    environ = EnvironBuilder("/aetitle/studies").get_environ()
    asked = [
        Request({**environ, "HTTP_COOKIE": f"__Host-dicomweb-session={session_id}"}) for _ in range(count)
    ]
    return [_row("session, read from a request", lambda request: identify(request, services), asked)]


def _from_requests(login: Authenticator, tokens: list[str]) -> tuple[Callable[[Any], Any], list[Any]]:
    unused: Any = object()
    config = WebConfig(("/aetitle",), None, 8080, b"k", host_rule_on=False)
    services = Services(config, unused, unused, HealthReport, authenticator=login)
    environ = EnvironBuilder("/aetitle/studies").get_environ()
    asked = [Request({**environ, "HTTP_AUTHORIZATION": f"Bearer {token}"}) for token in tokens]
    return lambda request: identify(request, services), asked


def _row(name: str, ask: Callable[[Any], Any], asked: list[Any]) -> dict[str, Any]:
    began = time.process_time()
    for one in asked:
        ask(one)
    milliseconds = (time.process_time() - began) * 1000 / len(asked)
    within = "-" if name == "password, hashed" else "yes" if milliseconds <= BUDGET_MS else "NO"
    return {"login": name, "CPU ms": round(milliseconds, 4), f"<= {BUDGET_MS} ms": within}


if __name__ == "__main__":
    main()
