"""Asks a pooled connection whether it still lives before it is used, where it lay idle for a while.

Asking each time would cost every request a round trip. A connection that dies sooner after its last use is
found out by the statement that fails on it: that request is told 503, and the pool makes all of them anew.
"""

import time
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import InvalidatePoolError

IDLE_SECONDS = 1.0
"""A server that is started again, or another that takes over for it, is away for longer."""

_USED_AT = "used_at"


def ping_after_idling(engine: Engine) -> None:
    """Have `engine` ping what lay idle for longer than IDLE_SECONDS, and replace what is dead."""

    def note(_connection: Any, record: Any) -> None:
        record.info[_USED_AT] = time.monotonic()

    def check(connection: Any, record: Any, _proxy: Any) -> None:
        used_at = record.info.get(_USED_AT)
        if used_at is None or time.monotonic() - used_at <= IDLE_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error

    event.listen(engine, "checkin", note)
    event.listen(engine, "checkout", check)
