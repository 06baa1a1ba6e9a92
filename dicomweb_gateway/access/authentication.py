"""Who asks: the logins that are configured, tried by what a request presents."""

from dataclasses import dataclass

from dicomweb_gateway.access.basic import BasicLogin
from dicomweb_gateway.access.caller import ANYBODY, Caller
from dicomweb_gateway.access.oidc import OidcLogin
from dicomweb_gateway.access.presented import Presented
from dicomweb_gateway.access.proxy_login import ProxyLogin
from dicomweb_gateway.access.sessions import Session, Sessions
from dicomweb_gateway.access.tokens import StaticTokens
from dicomweb_gateway.errors import InsufficientScope, InvalidRequest, Unauthenticated, WrongCredentials

_REALM = 'realm="dicomweb-gateway"'
SESSION_CHALLENGE = f"Session {_REALM}"
"""Of a scheme that no browser knows, so that none asks its user."""
_NOTHING = "this gateway asks for a login"


@dataclass(frozen=True, slots=True)
class Authenticator:
    """The logins that are configured, None for those that are not; without any everybody is let in.

    A token or a password is looked at before a session, and that before what a proxy says. Token and
    password must be right when there is one: a request is never taken for that of somebody else than the one
    whose token it holds. A session that has ended is none.
    """

    oidc: OidcLogin | None = None
    tokens: StaticTokens | None = None
    basic: BasicLogin | None = None
    proxy: ProxyLogin | None = None
    sessions: Sessions | None = None

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
        return self.known(presented)[0]

    def known(self, presented: Presented) -> tuple[Caller, Session | None]:
        """Who asks, and their session where it is that by which they are known.

        Raises Unauthenticated with the challenges to answer, InsufficientScope, InvalidRequest for what can
        be taken in two ways, TooManyRequests, GatewayBusy, LoginUnavailable, IndexUnavailable.
        """
        if self.is_open:
            return ANYBODY, None
        session = None
        try:
            found = self._by_credentials(presented)
            if found is None and self.sessions is not None and presented.session:
                session = self.sessions.find(presented.session)
                found = session.caller if session is not None else None
            if found is None and self.proxy is not None:
                found = self.proxy.caller_of(presented)
        except InsufficientScope as error:
            told = self._challenges(presented, "insufficient_scope", error)
            raise InsufficientScope(str(error), told) from error
        except Unauthenticated as error:
            told = self._challenges(presented, "invalid_token", error)
            raise WrongCredentials(str(error), told) from error
        if found is None:
            raise Unauthenticated(_NOTHING, self._challenges(presented))
        return found, session

    def _by_credentials(self, presented: Presented) -> Caller | None:
        """By token or password; None without either, or where that kind of login is not configured."""
        token = presented.token if self._takes_tokens else None
        credentials = presented.basic if self.basic is not None else None
        if credentials is not None and self.basic is not None:
            if token is not None:
                raise InvalidRequest("the request holds a token and a password")
            if presented.repeated:
                raise InvalidRequest("the request holds several passwords")
            return self.basic.caller_of(credentials, presented.client)
        return None if token is None else self._bearer_of(token)

    @property
    def _takes_tokens(self) -> bool:
        return self.oidc is not None or self.tokens is not None

    def _bearer_of(self, token: str) -> Caller:
        known = self.tokens.caller_of(token) if self.tokens is not None else None
        if known is not None:
            return known
        if self.oidc is None:
            raise Unauthenticated("the token is not known, or no longer")
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
