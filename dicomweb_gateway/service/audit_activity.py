"""Start and end of the service in the audit log (PS3.15 A.5.3.1), written by the master process."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from dicomweb_gateway.access.audit_events import AuditEvent
from dicomweb_gateway.access.audit_log import AuditLog
from dicomweb_gateway.errors import SettingsError
from dicomweb_gateway.settings import Settings


@contextmanager
def audited_run(settings: Settings) -> Iterator[None]:
    """The log says that the service runs until the block ends; SettingsError when it cannot be written."""
    path = settings.audit_path
    if path is None:
        yield
        return
    log = AuditLog(path)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        log.open()
    except OSError as error:
        raise SettingsError(f"AUDIT_LOG: {path} cannot be written ({error.strerror or error})") from error
    _tell(log, "110120", "Application Start")
    # so that what is forked from here has no file of the master's open
    log.close()
    try:
        yield
    finally:
        _tell(log, "110121", "Application Stop")
        log.close()


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
