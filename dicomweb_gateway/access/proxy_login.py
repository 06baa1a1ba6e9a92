"""Users whom a reverse proxy in front has logged in (AUTH_MODE proxy)."""

from dicomweb_gateway.access.caller import Caller
from dicomweb_gateway.access.networks import is_trusted
from dicomweb_gateway.access.presented import Presented
from dicomweb_gateway.access.rows import checked_name
from dicomweb_gateway.errors import Unauthenticated


class ProxyLogin:
    """Callers as the header of a proxy in one of `networks` names them."""

    def __init__(self, networks: tuple[str, ...]) -> None:
        self._networks = networks

    def caller_of(self, presented: Presented) -> Caller | None:
        """Who the proxy says that asks; None where it says nothing, or where the peer is no such proxy.

        Raises Unauthenticated for names that are none, and where a header came twice: one of the two may be
        the client's own.
        """
        if not presented.proxy_user or not is_trusted(presented.peer, self._networks):
            return None
        if presented.repeated:
            raise Unauthenticated("the proxy's header came more than once")
        try:
            name = checked_name(_unicode(presented.proxy_user))
            groups = [checked_name(one.strip()) for one in _unicode(presented.proxy_groups).split(",") if one]
        except ValueError:
            raise Unauthenticated("the proxy's header names no user, or no groups") from None
        return Caller(name, "proxy", groups=frozenset(groups))


def _unicode(value: str) -> str:
    """A header's value, which WSGI gives as latin-1; ValueError."""
    return value.encode("latin-1").decode()
