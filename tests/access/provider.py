"""An identity provider for tests: a real HTTP server that publishes keys and signs tokens."""

import json
import threading
import time
from contextlib import suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

CURVES = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}


def private_key(kid, algorithm="RS256", bits=2048):
    """The key `kid` of the algorithm's kind."""
    return _made(kid, algorithm if algorithm in CURVES else "RSA", bits)


@cache
def _made(kid, kind, bits):
    """Made once in a test run: RSA keys take their time."""
    if kind in CURVES:
        return ec.generate_private_key(CURVES[kind]())
    return rsa.generate_private_key(65537, bits)


def jwk(kid, algorithm="RS256", bits=2048, **more):
    """The public key, as a provider publishes it."""
    kind = ECAlgorithm if algorithm in CURVES else RSAAlgorithm
    public = private_key(kid, algorithm, bits).public_key()
    return {**kind.to_jwk(public, as_dict=True), "kid": kid, "use": "sig", **more}


class Provider:
    """`keys` are published; `fail`, `delay`, `redirect`, `document` and `issuer_told` make it misbehave."""

    def __init__(self, keys=None):
        self.keys = [jwk("one")] if keys is None else keys
        self.fail = None
        self.delay = 0.0
        self.redirect = None
        self.document = None
        self.issuer_told = None
        self.jwks_told = None
        self.asked = {"discovery": 0, "jwks": 0}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                provider.answer(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.issuer = f"http://127.0.0.1:{self.server.server_port}/realm"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, handler):
        is_discovery = handler.path == "/realm/.well-known/openid-configuration"
        self.asked["discovery" if is_discovery else "jwks"] += 1
        time.sleep(self.delay)
        if self.redirect and not is_discovery:
            handler.send_response(302)
            handler.send_header("Location", self.redirect)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        if is_discovery:
            told = {"issuer": self.issuer_told or self.issuer}
            body = json.dumps({**told, "jwks_uri": self.jwks_told or f"{self.issuer}/keys"}).encode()
        else:
            body = self.document if self.document is not None else json.dumps({"keys": self.keys}).encode()
        handler.send_response(self.fail or 200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        with suppress(OSError):
            handler.wfile.write(body)

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def claims(self, **more):
        now = int(time.time())
        own = {"iss": self.issuer, "sub": "alice", "aud": "gateway", "iat": now, "exp": now + 600}
        return {name: value for name, value in {**own, **more}.items() if value is not None}

    def token(self, kid="one", algorithm="RS256", headers=None, key=None, named=True, **claims):
        """A token of these claims, None in the place of one for none."""
        head = {**({"kid": kid} if named else {}), **(headers or {})}
        return jwt.encode(self.claims(**claims), key or private_key(kid, algorithm), algorithm, headers=head)
