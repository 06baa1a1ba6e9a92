"""How much one client may ask: requests a second, requests at once, connections, failed logins.

The numbers hold over all web processes together (`shared_counts`). A client is the caller that the login
knows, else the address, of IPv6 its network of 64 bits.
"""

import math
from dataclasses import dataclass

from dicomweb_gateway.access.shared_counts import ClientCounts, Ticket
from dicomweb_gateway.errors import TooManyRequests

_LOGIN_SECONDS = 60.0
_CONNECTION_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class ClientRates:
    """The limits; 0 stands for none.

    `rate`: requests a second in the long run; `burst`: requests that may come at once, after which the client
    waits until the rate has caught up; `at_once`: requests under way; `connections`: connections that are
    open; `failed_logins`: refused logins in a minute.
    """

    rate: float = 0
    burst: int = 0
    at_once: int = 0
    connections: int = 0
    failed_logins: int = 0

    @property
    def seconds(self) -> float:
        """The stretch of time over which requests are counted."""
        return max(1.0, self.burst / self.rate) if self.rate else 60.0

    @property
    def most(self) -> float:
        """Requests within that stretch."""
        return max(float(self.burst), self.rate * self.seconds)


class ClientLimits:
    """The limits of one web process's clients; safe from any thread."""

    def __init__(self, rates: ClientRates, counts: ClientCounts) -> None:
        self.rates = rates
        self._counts = counts
        self._counts_requests = bool(rates.rate or rates.at_once)
        # each request needs them
        self._seconds, self._most = rates.seconds, rates.most

    def enter(self, client: str) -> Ticket | None:
        """Count a request of `client`; None when nothing is counted. TooManyRequests when it is one too many.

        A request that is refused is not counted: who waits as advised is let in.
        """
        if not self._counts_requests:
            return None
        rates = self.rates
        name = f"client {client}"
        usage = self._counts.usage(name, self._seconds)
        if rates.at_once and usage.under_way >= rates.at_once:
            raise TooManyRequests(f"at most {rates.at_once} requests of one client are answered at once", 1)
        if rates.rate and usage.recent + 1 > self._most:
            wait = math.ceil((usage.recent + 1 - self._most) / rates.rate)
            raise TooManyRequests(f"more than {rates.rate:g} requests a second of one client", max(1, wait))
        return self._counts.enter(name, self._seconds)

    def leave(self, ticket: Ticket) -> None:
        """The answer has gone out, or has been cut."""
        self._counts.leave(ticket)

    def connect(self, client: str) -> Ticket | None:
        """Count a connection of `client` until `leave`. TooManyRequests when it has too many."""
        if not self.rates.connections:
            return None
        name = f"connections {client}"
        if self._counts.usage(name, _CONNECTION_SECONDS).under_way >= self.rates.connections:
            raise TooManyRequests("too many connections of one client are open", 5)
        return self._counts.enter(name, _CONNECTION_SECONDS)

    def login_failed(self, client: str) -> None:
        """Count a refused login of `client`, an address. TooManyRequests when there were too many.

        Who logs in rightly is not touched: others may share the address.
        """
        if not self.rates.failed_logins:
            return
        name = f"logins {client}"
        if self._counts.usage(name, _LOGIN_SECONDS).recent >= self.rates.failed_logins:
            raise TooManyRequests("too many refused logins from this address", 30)
        self._counts.enter(name, _LOGIN_SECONDS, under_way=0)
