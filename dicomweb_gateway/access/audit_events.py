"""Kinds of audit messages (DICOM PS3.15 A.5, context group 400) and what makes a request one of them."""

import json
from enum import Enum
from functools import cached_property
from typing import Any

from dicomweb_gateway.access.operations import Operation


class AuditEvent(Enum):
    """Code of the DCM dictionary, its meaning, and the action: execute, read, create or update."""

    APPLICATION_ACTIVITY = ("110100", "Application Activity", "E")
    INSTANCES_ACCESSED = ("110103", "DICOM Instances Accessed", "R")
    INSTANCES_CHANGED = ("110103", "DICOM Instances Accessed", "U")
    INSTANCES_TRANSFERRED = ("110104", "DICOM Instances Transferred", "R")
    IMPORT = ("110107", "Import", "C")
    QUERY = ("110112", "Query", "E")
    SECURITY_ALERT = ("110113", "Security Alert", "E")
    USER_AUTHENTICATION = ("110114", "User Authentication", "E")

    @cached_property
    def fields(self) -> dict[str, Any]:
        """How a line of the log begins."""
        code, meaning, action = self.value
        return {"event": meaning, "event_code": code, "action": action}

    @cached_property
    def members(self) -> str:
        """The same as members of a JSON object."""
        return json.dumps(self.fields, separators=(",", ":"))[1:-1]


_OF_OPERATION = {
    Operation.SEARCH: AuditEvent.QUERY,
    Operation.RETRIEVE: AuditEvent.INSTANCES_TRANSFERRED,
    Operation.TLM: AuditEvent.INSTANCES_TRANSFERRED,
    Operation.RENDERED: AuditEvent.INSTANCES_ACCESSED,
    Operation.IMPORT: AuditEvent.IMPORT,
}
_ALERTS = (403, 429, 431)


def event_of(operation: Operation | None, status: int) -> AuditEvent:
    """What a request that was answered with `status` is; `operation` None for one that led to no route.

    A refused login is User Authentication; refused access, a limit that was met and an address that is none
    are Security Alerts.
    """
    if status == 401:
        return AuditEvent.USER_AUTHENTICATION
    if status in _ALERTS or operation is None:
        return AuditEvent.SECURITY_ALERT
    return _OF_OPERATION.get(operation, AuditEvent.APPLICATION_ACTIVITY)


def outcome_of(status: int, is_whole: bool) -> int:
    """The outcome indicator: 0 success, 4 minor failure, 8 serious failure (PS3.15 A.5.2)."""
    if status >= 500:
        return 8
    return 4 if status >= 400 or not is_whole else 0
