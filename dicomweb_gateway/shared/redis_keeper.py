"""A Redis server that holds what stands nowhere else: it does what is asked, or the asker is told."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from redis import BlockingConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.client import Pipeline
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import RedisError, WatchError
from redis.exceptions import TimeoutError as TooLate
from redis.retry import Retry

from dicomweb_gateway.errors import LoginUnavailable
from dicomweb_gateway.shared.rest import Rest

_LOG = logging.getLogger(__name__)
_SECONDS = 2.0
_CONNECTIONS = 16
_TRIES = 20
_LOOK = "dicomweb-gateway:1:look"


class RedisKeeper:
    """The server at `url`, one without cluster mode; safe from any thread, connects at first use.

    Everything raises LoginUnavailable, whose sentence names neither address nor password, where the server
    does not do it within 2 seconds; one that has failed again and again is left alone for a while.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.name = f"{parts.hostname}:{parts.port or 6379}"
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            timeout=_SECONDS,
            socket_timeout=_SECONDS,
            socket_connect_timeout=_SECONDS,
            # a connection that the server has closed meanwhile; what is asked may be asked twice
            retry=Retry(NoBackoff(), 1, supported_errors=(NoConnection,)),
            protocol=2,
        )
        self._client = Redis(connection_pool=pool)
        self._rest = Rest()

    def run(self, fill: Callable[[Pipeline], Any]) -> list[Any]:
        """What the commands answer that `fill` gives, each for itself."""
        # no transaction: a full server takes none, not even one that makes room
        with self._asking(), self._client.pipeline(transaction=False) as pipeline:
            fill(pipeline)
            answers: list[Any] = pipeline.execute()
        return answers

    def run_as_one(
        self,
        fill: Callable[[Pipeline], Any],
        watched: Sequence[str] = (),
        holds: Callable[[Pipeline], bool] = lambda _: True,
    ) -> bool:
        """Have all commands done that `fill` gives, or none; False where `holds` denies it.

        Nothing comes between `holds` and the commands that changes anything `watched`.
        """
        with self._asking(), self._client.pipeline() as pipeline:
            for _ in range(_TRIES):
                try:
                    if watched:
                        pipeline.watch(*watched)  # type: ignore[no-untyped-call, unused-ignore]
                        if not holds(pipeline):
                            return False
                        pipeline.multi()
                    fill(pipeline)
                    pipeline.execute()
                    return True
                except WatchError:
                    pipeline.reset()
        raise _unavailable("others change the same again and again")

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """LoginUnavailable where the server, asked inside, fails."""
        if not self._rest.may_ask():
            raise _unavailable("it is left alone for a moment")
        try:
            yield
        except (NoConnection, TooLate, OSError) as error:
            if self._rest.failed():
                _LOG.warning("the sessions' Redis at %s is left alone for a while", self.name)
            # without what the library says, which may tell addresses and arguments
            raise _unavailable(type(error).__name__) from None
        except RedisError as error:
            raise _unavailable(type(error).__name__) from None
        if self._rest.passed():
            _LOG.info("the sessions' Redis at %s is back", self.name)

    def delete(self, *names: str) -> None:
        """Forget what lies under `names`, all at once."""
        self.run(lambda pipeline: pipeline.delete(*names))

    def ask(self) -> None:
        """Whether the server answers, may be written, and knows what is asked of it; changes nothing."""
        self.run(lambda pipeline: pipeline.zadd(_LOOK, {"look": 0}, xx=True, gt=True))

    def close(self) -> None:
        """Hang up."""
        self._client.connection_pool.disconnect()


def _unavailable(why: str) -> LoginUnavailable:
    return LoginUnavailable(
        f"browsers' logins cannot be looked up: the Redis server of SESSION_STORE does not serve ({why})"
    )
