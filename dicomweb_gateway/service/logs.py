"""Logging for all processes: text for people, JSON lines for machines; never a patient's data."""

import json
import logging
import sys
import time
from functools import lru_cache
from typing import Literal

import orjson

from dicomweb_gateway.telemetry.timeline import request_id

_PACKAGE = "dicomweb_gateway"
_JSON = json.JSONEncoder(default=str)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, process, logger, message and, for errors, the trace."""

    def format(self, record: logging.LogRecord) -> str:
        """The line without its end."""
        entry = {
            "time": f"{_second(int(record.created))}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "pid": record.process,
            "logger": record.name,
            "message": record.getMessage(),
        }
        name = request_id()
        if name is not None:
            entry["request"] = name
        # what an access line says, each fact by itself
        entry.update(getattr(record, "facts", {}))
        if record.exc_info:
            entry["trace"] = self.formatException(record.exc_info)
        try:
            return orjson.dumps(entry).decode()
        except TypeError:
            # half a surrogate pair, out of an address or a name
            return _JSON.encode(entry)


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def set_up_logging(level: str, form: Literal["text", "json"] | None) -> None:
    """Log to standard error; `form` None: text on a terminal, JSON otherwise."""
    handler = logging.StreamHandler(sys.stderr)
    if (form or ("text" if sys.stderr.isatty() else "json")) == "json":
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    # no line names them, and to find them out costs as much as the rest of a line
    logging.logThreads = logging.logMultiprocessing = False
    # nor who called: the logging HOWTO's own way to leave that out
    logging._srcfile = None
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # other libraries speak only when something is wrong: botocore's debug lines would hold data
    root.setLevel(logging.WARNING)
    # a browser that opens a study queues for a moment, each time: no news
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    logging.getLogger(_PACKAGE).setLevel(level.upper())
