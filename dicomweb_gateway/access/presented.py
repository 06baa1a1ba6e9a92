"""What a request presents of who sends it, as plain text, and the one token in it."""

import re
from dataclasses import dataclass

from dicomweb_gateway.errors import InvalidRequest, Unauthenticated

LONGEST_TOKEN = 16 << 10
"""Characters; a longer one is refused unread."""
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""RFC 6750 2.1: b64token."""
_MALFORMED = "the token is malformed"


@dataclass(frozen=True, slots=True)
class Presented:
    """Header values as WSGI gives them (latin-1, those of repeated headers joined by commas), "" for none.

    `peer` is the address that the connection comes from; `client` the one that the request comes from, which
    a trusted proxy tells, else the same. `query_tokens` are the decoded values of `token` in the query.
    `repeated` tells that a header which says who asks came more than once. `session` is the id of a session
    out of the cookie; `by_script`: a script of our pages asks, so that no browser must ask for a password.
    `takes_tickets`: the request is for what a viewer may read by a ticket.
    """

    peer: str = ""
    client: str = ""
    authorization: str = ""
    token_header: str = ""
    query_tokens: tuple[str, ...] = ()
    proxy_user: str = ""
    proxy_groups: str = ""
    repeated: bool = False
    session: str = ""
    by_script: bool = False
    takes_tickets: bool = False

    @property
    def basic(self) -> str | None:
        """The credentials of `Authorization: Basic`, still coded; None without."""
        return self._of_scheme("basic")

    @property
    def bearer(self) -> str | None:
        """What stands in `Authorization: Bearer`; None without."""
        return self._of_scheme("bearer")

    @property
    def token(self) -> str | None:
        """The token, wherever it stands; None without.

        Raises InvalidRequest where different ones stand in several places, and Unauthenticated, without
        challenges, for what is no token.
        """
        bearer = self.bearer
        tokens = {*self.query_tokens, self.token_header} - {""} | ({bearer} if bearer is not None else set())
        if not tokens:
            return None
        if len(tokens) > 1 or self.repeated:
            raise InvalidRequest("the request holds several different tokens")
        (token,) = tokens
        if len(token) > LONGEST_TOKEN:
            raise Unauthenticated(f"the token is longer than {LONGEST_TOKEN} characters")
        if not _TOKEN.fullmatch(token):
            raise Unauthenticated(_MALFORMED)
        return token

    def _of_scheme(self, wanted: str) -> str | None:
        scheme, _, rest = self.authorization.strip(" \t").partition(" ")
        return rest.strip(" \t") if scheme.lower() == wanted else None
