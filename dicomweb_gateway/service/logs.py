"""Logging for all processes: text for people, JSON lines for machines; never a patient's data."""

import json
import logging
import sys
import time
from functools import lru_cache
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Literal

import orjson

from dicomweb_gateway.errors import SettingsError
from dicomweb_gateway.telemetry.timeline import request_id

_PACKAGE = "dicomweb_gateway"
_LOG = logging.getLogger(__name__)
ACCESS = "dicomweb_gateway.web.observed"
"""The logger of the access log, a line for each request."""
_SAY_SECONDS = 60.0
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


class AccessFile(WatchedFileHandler):
    """The access log as a file of JSON lines, which may be renamed at any time; no request fails for it."""

    def __init__(self, path: Path) -> None:
        """Open it; OSError where that cannot be done."""
        super().__init__(path, encoding="utf-8", errors="backslashreplace")
        self.setFormatter(JsonFormatter())
        self._say_at = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line, into another file where this one was renamed."""
        try:
            super().emit(record)
        except OSError:
            # logging lets through what opening raises
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """A line that cannot be written is lost, which is said once a minute."""
        now = time.monotonic()
        if now >= self._say_at:
            self._say_at = now + _SAY_SECONDS
            _LOG.warning("the access log cannot be written: %s", self.baseFilename)


def set_up_access_log(path: Path | None) -> None:
    """Have requests logged into the file at `path`, not at all (`off`), or None: where all else is logged.

    SettingsError where the file cannot be written.
    """
    is_off = path is not None and str(path).lower() in ("off", "none")
    try:
        handlers: list[logging.Handler] = [] if path is None or is_off else [AccessFile(path)]
    except OSError as error:
        raise SettingsError(f"ACCESS_LOG: {path} cannot be written ({error.strerror or error})") from error
    access = logging.getLogger(ACCESS)
    before, access.handlers[:] = access.handlers[:], handlers
    for handler in before:
        handler.close()
    access.propagate = path is None
    access.setLevel(logging.CRITICAL if is_off else logging.INFO if handlers else logging.NOTSET)


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
