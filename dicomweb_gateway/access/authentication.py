"""Who asks: the logins that are configured, tried by what a request presents."""

from dataclasses import dataclass
from typing import NamedTuple

from dicomweb_gateway.access.basic import BasicLogin
from dicomweb_gateway.access.caller import ANYBODY, Caller
from dicomweb_gateway.access.oidc import OidcLogin
from dicomweb_gateway.access.presented import Presented
from dicomweb_gateway.access.proxy_login import ProxyLogin
from dicomweb_gateway.access.session_content import looks_like_id
from dicomweb_gateway.access.sessions import Session, Sessions
from dicomweb_gateway.access.tickets import Ticket, Tickets
from dicomweb_gateway.access.tokens import StaticTokens
from dicomweb_gateway.errors import InsufficientScope, InvalidRequest, Unauthenticated, WrongCredentials

_REALM = 'realm="dicomweb-gateway"'
SESSION_CHALLENGE = f"Session {_REALM}"
"""Of a scheme that no browser knows, so that none asks its user."""
_NOTHING = "this gateway asks for a login"
_NOT_KNOWN = "the token is not known, or no longer"


class Known(NamedTuple):
    """Who asks, and the session or the ticket by which they are known, where it is one."""

    caller: Caller
    session: Session | None = None
    ticket: Ticket | None = None


@dataclass(frozen=True, slots=True)
class Authenticator:
    """The logins that are configured, None for those that are not; without any everybody is let in.

    A token or a password is looked at before a session, and that before what a proxy says. Token and
    password must be right when there is one: a request is never taken for that of somebody else than the one
    whose token it holds. A session that has ended is none. A ticket is a token that counts where
    viewers read, and nowhere else, and in `Authorization` alone.
    """

    oidc: OidcLogin | None = None
    tokens: StaticTokens | None = None
    basic: BasicLogin | None = None
    proxy: ProxyLogin | None = None
    sessions: Sessions | None = None
    tickets: Tickets | None = None

    @property
    def is_open(self) -> bool:
        """Whether no login is asked."""
        return (
            self.oidc is None
            and self.tokens is None
            and self.basic is None
            and self.proxy is None
            and self.sessions is None
        )

    def troubles(self) -> tuple[str, ...]:
        """What is wrong with files of logins, which others than administrators may read too."""
        files = (self.tokens, self.basic)
        return tuple(one.trouble for one in files if one is not None and one.trouble is not None)

    def caller_of(self, presented: Presented) -> Caller:
        """Who asks; see `known`."""
        return self.known(presented).caller

    def known(self, presented: Presented) -> Known:
        """Who asks, and by what they are known.

        Raises Unauthenticated with the challenges to answer, InsufficientScope, InvalidRequest for what can
        be taken in two ways, TooManyRequests, GatewayBusy, LoginUnavailable, IndexUnavailable.
        """
        if self.is_open:
            return Known(ANYBODY)
        try:
            found = self._by_credentials(presented) or self._by_what_browsers_add(presented)
        except InsufficientScope as error:
            told = self._challenges(presented, "insufficient_scope", error)
            raise InsufficientScope(str(error), told) from error
        except Unauthenticated as error:
            told = self._challenges(presented, "invalid_token", error)
            raise WrongCredentials(str(error), told) from error
        if found is None:
            raise Unauthenticated(_NOTHING, self._challenges(presented))
        return found

    def _by_what_browsers_add(self, presented: Presented) -> Known | None:
        """By a session, or by what a proxy says."""
        if self.sessions is not None and presented.session:
            session = self.sessions.find(presented.session)
            if session is not None:
                return Known(session.caller, session)
        named = self.proxy.caller_of(presented) if self.proxy is not None else None
        return None if named is None else Known(named)

    def _by_credentials(self, presented: Presented) -> Known | None:
        """By token or password; None without either, or where that kind of login is not configured."""
        is_ticket = self.tickets is not None and looks_like_id(presented.bearer or "")
        token = presented.token if self._takes_tokens or is_ticket else None
        credentials = presented.basic if self.basic is not None else None
        if credentials is not None and self.basic is not None:
            if token is not None:
                raise InvalidRequest("the request holds a token and a password")
            if presented.repeated:
                raise InvalidRequest("the request holds several passwords")
            return Known(self.basic.caller_of(credentials, presented.client))
        if token is None:
            return None
        return self._by_ticket(token, presented) if is_ticket else Known(self._bearer_of(token))

    def _by_ticket(self, token: str, presented: Presented) -> Known:
        ticket = None
        if self.tickets is not None and presented.takes_tickets:
            ticket = self.tickets.find(token)
        if ticket is None:
            raise Unauthenticated(_NOT_KNOWN)
        return Known(ticket.caller, ticket=ticket)

    @property
    def _takes_tokens(self) -> bool:
        return self.oidc is not None or self.tokens is not None

    def _bearer_of(self, token: str) -> Caller:
        known = self.tokens.caller_of(token) if self.tokens is not None else None
        if known is not None:
            return known
        if self.oidc is None:
            raise Unauthenticated(_NOT_KNOWN)
        return self.oidc.caller_of(token)

    def _challenges(
        self, presented: Presented, code: str = "", reason: Exception | None = None
    ) -> tuple[str, ...]:
        """Values of WWW-Authenticate (RFC 6750 3, RFC 7617 2)."""
        if presented.by_script:
            return (SESSION_CHALLENGE,)
        challenges = []
        if self._takes_tokens:
            told = f', error="{code}", error_description="{reason}"' if reason is not None else ""
            challenges.append(f"Bearer {_REALM}{told}")
        if self.basic is not None:
            challenges.append(f'Basic {_REALM}, charset="UTF-8"')
        # an answer 401 must name a scheme (RFC 9110 15.5.2), though only the proxy in front can log in
        return tuple(challenges) or (f"Proxied {_REALM}",)
