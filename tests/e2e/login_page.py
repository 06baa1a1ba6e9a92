"""An identity provider at which a browser logs in: authorization code with PKCE, and no password."""

import hashlib
import json
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt

from tests.access.provider import jwk, private_key

CLIENT = "ohif"


class LoginPage:
    """What was asked, and what codes were given out for."""

    def __init__(self) -> None:
        self.issuer = ""
        self.codes: dict[str, dict[str, str]] = {}
        self.logins = 0
        self.id_claims: dict[str, Any] = {}
        """What the id token says in place of what it should; None leaves a claim out."""
        self.access_claims: dict[str, Any] = {}
        self.answer: dict[str, Any] = {}
        """What the answer with the tokens says in place of what it should."""
        self.more: dict[str, Any] = {}
        """What the discovery document says beside."""
        self.secrets: list[str | None] = []
        """Header and form of each exchange, as far as they show a secret."""
        self.status = 200

    def discovery(self) -> dict[str, Any]:
        return {
            **self.more,
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/me",
            "jwks_uri": f"{self.issuer}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    def authorize(self, asked: dict[str, str]) -> str:
        """Where the browser goes back to."""
        assert (asked["client_id"], asked["response_type"]) == (CLIENT, "code")
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def tokens(self, asked: dict[str, str], authorization: str | None = None) -> dict[str, Any]:
        self.secrets.append(authorization or asked.get("client_secret"))
        begun = self.codes.pop(asked["code"])
        proof = urlsafe_b64encode(hashlib.sha256(asked["code_verifier"].encode()).digest())
        assert proof.decode().rstrip("=") == begun["code_challenge"]
        assert asked["redirect_uri"] == begun["redirect_uri"]
        self.logins += 1
        common = {"iss": self.issuer, "sub": "alice", "iat": int(time.time()), "exp": int(time.time()) + 600}
        own = {"aud": CLIENT, **({"nonce": begun["nonce"]} if "nonce" in begun else {})}
        access = {**common, "client_id": CLIENT, "token_use": "access", **self.access_claims}
        told = {
            "access_token": self.signed(access),
            "id_token": self.signed({**common, **own, **self.id_claims}),
            "token_type": "Bearer",
            "expires_in": 600,
            "scope": begun["scope"],
            **self.answer,
        }
        return {name: value for name, value in told.items() if value is not None}

    def signed(self, claims: dict[str, Any]) -> str:
        """A token of these claims, without those that are None."""
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(claims, private_key("one"), "RS256", headers={"kid": "one"})


class _Handler(BaseHTTPRequestHandler):
    page: LoginPage

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path.endswith("/authorize"):
            asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
            self.send_response(302)
            self.send_header("Location", self.page.authorize(asked))
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif parts.path.endswith("/keys"):
            self._answer({"keys": [jwk("one")]})
        elif parts.path.endswith("/me"):
            self._answer({"sub": "alice"})
        else:
            self._answer(self.page.discovery())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        asked = {name: values[0] for name, values in parse_qs(body).items()}
        self._answer(self.page.tokens(asked, self.headers["Authorization"]), self.page.status)

    def do_OPTIONS(self) -> None:
        self._answer({})

    def _answer(self, value: Any, status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Access-Control-Allow-Headers", "Authorization, Content-Type")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def served_login() -> Iterator[LoginPage]:
    """A provider on a loopback port."""
    page = LoginPage()
    handler = type("Handler", (_Handler,), {"page": page})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        page.issuer = f"http://127.0.0.1:{server.server_port}/realm"
        thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield page
        server.shutdown()
        thread.join()
