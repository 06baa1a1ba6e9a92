"""What the master process writes into the audit log: start and end of the service (PS3.15 A.5.3.1), and lines
of processes that were killed."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dicomweb_gateway.access.audit_events import AuditEvent
from dicomweb_gateway.access.audit_log import AuditLog
from dicomweb_gateway.errors import SettingsError
from dicomweb_gateway.settings import Settings

_LOG = logging.getLogger(__name__)


@contextmanager
def audited_run(settings: Settings) -> Iterator[Callable[[], None]]:
    """The log says that the service runs until the block ends; SettingsError when it cannot be written.

    What it gives is to be called when a child has ended.
    """
    path = settings.audit_path
    if path is None:
        yield lambda: None
        return
    log = AuditLog(path)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        log.open()
    except OSError as error:
        raise SettingsError(f"AUDIT_LOG: {path} cannot be written ({error.strerror or error})") from error
    _take_over(log)
    _tell(log, "110120", "Application Start")
    # so that what is forked from here has no file of the master's open
    log.close()

    def child_ended() -> None:
        _take_over(log)
        log.close()

    try:
        yield child_ended
    finally:
        _take_over(log)
        _tell(log, "110121", "Application Stop")
        log.close()


def _take_over(log: AuditLog) -> None:
    """Write what killed processes have left; the service goes on whatever is wrong with their files."""
    try:
        log.take_over()
    except Exception:
        _LOG.exception("audit lines of a process that was killed could not be written")


def _tell(log: AuditLog, code: str, meaning: str) -> None:
    log.write(
        {
            **AuditEvent.APPLICATION_ACTIVITY.fields,
            "type": meaning,
            "type_code": code,
            "outcome": 0,
            "process": os.getpid(),
        }
    )
