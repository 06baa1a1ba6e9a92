"""How people log in at the pages: by a form for passwords, at an identity provider, or by either."""

import hmac
from dataclasses import dataclass

from dicomweb_gateway.access.basic import BasicLogin
from dicomweb_gateway.access.caller import Caller
from dicomweb_gateway.access.code_login import CodeLogin
from dicomweb_gateway.access.sessions import Sessions
from dicomweb_gateway.access.tickets import Tickets


@dataclass(frozen=True, slots=True)
class PageDoors:
    """The ways in; None for one that is not offered. Each session rests on the one that it came by."""

    form: BasicLogin | None = None
    code: CodeLogin | None = None

    def still(self, caller: Caller, proof: str) -> Caller | None:
        """Whom a session of `caller` is of now; None where that login, or its user, is no longer taken."""
        if caller.mode == "oidc":
            return caller if self.code is not None and proof == self.code.proof else None
        return None if self.form is None else self.form.still(caller, proof)


@dataclass(frozen=True, slots=True)
class PageLogin:
    """The doors, the sessions of those who came in by them, and the secret behind forms' tokens.

    `tickets` are those that sessions give to viewers, None where they give none.
    """

    doors: PageDoors
    sessions: Sessions
    secret: bytes
    tickets: Tickets | None = None

    def form_token(self, browser: str) -> str:
        """What the login form of that browser must hold; `browser` is its own random value."""
        return hmac.digest(self.secret, f"form\0{browser}".encode(), "sha256").hex()

    def is_form_token(self, browser: str, told: str) -> bool:
        """Whether `told` is it."""
        return bool(browser) and hmac.compare_digest(self.form_token(browser).encode(), told.encode())
