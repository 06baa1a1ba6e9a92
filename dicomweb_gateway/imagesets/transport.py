"""HTTP POST over libcurl: one thread drives the connections of a process, any number of threads wait for it.

libcurl keeps connections alive, asks again on a fresh one when a kept one turns out to be closed, resolves
names, checks certificates and speaks to proxies. What goes beyond it stands here: a limit to silence, a
deadline, and a second request for an answer that does not begin.
"""

import threading

from dicomweb_gateway.imagesets.curl_handles import TransportSettings
from dicomweb_gateway.imagesets.curl_loop import Loop
from dicomweb_gateway.imagesets.exchange import Exchange, Hedge, Reply, Request


class Transport:
    """Sends requests from any thread; must be made and used in one process.

    Its descriptors stay until `close`.
    """

    def __init__(self, settings: TransportSettings) -> None:
        self._loop = Loop(settings)
        self._thread = threading.Thread(target=self._loop.run, name="https", daemon=True)
        self._thread.start()

    def send(self, request: Request, deadline: float | None = None, hedge: Hedge | None = None) -> Reply:
        """The whole answer, whatever its status; TransportError else, at the latest at `deadline`.

        `deadline` is a moment of time.monotonic.
        """
        exchange = Exchange(request, deadline, hedge)
        self._loop.begin(exchange)
        exchange.done.acquire()
        if exchange.error is not None:
            raise exchange.error
        easy_status, begun, transfer = exchange.won
        return Reply(easy_status, transfer.body.getvalue(), begun, exchange.hedged, transfer.lines)

    @property
    def alive(self) -> bool:
        """Whether requests can still be sent."""
        return not self._loop.closed

    def close(self) -> None:
        """Break off what is under way and leave no descriptor open."""
        self._loop.stop()
        if threading.current_thread() is not self._thread:
            self._thread.join()
