"""Kinds of events and outcomes are those of DICOM PS3.15 A.5."""

import pytest

from dicomweb_gateway.access.audit_events import AuditEvent, event_of, outcome_of
from dicomweb_gateway.access.operations import Operation


@pytest.mark.parametrize(
    ("operation", "status", "event"),
    [
        (Operation.SEARCH, 200, AuditEvent.QUERY),
        (Operation.SEARCH, 400, AuditEvent.QUERY),
        (Operation.RETRIEVE, 200, AuditEvent.INSTANCES_TRANSFERRED),
        (Operation.RETRIEVE, 404, AuditEvent.INSTANCES_TRANSFERRED),
        (Operation.TLM, 206, AuditEvent.INSTANCES_TRANSFERRED),
        (Operation.RENDERED, 200, AuditEvent.INSTANCES_ACCESSED),
        (Operation.IMPORT, 200, AuditEvent.IMPORT),
        (Operation.ADMIN, 200, AuditEvent.APPLICATION_ACTIVITY),
        (Operation.SEARCH, 401, AuditEvent.USER_AUTHENTICATION),
        (Operation.SEARCH, 403, AuditEvent.SECURITY_ALERT),
        (Operation.RETRIEVE, 429, AuditEvent.SECURITY_ALERT),
        (None, 404, AuditEvent.SECURITY_ALERT),
    ],
)
def test_kinds(operation, status, event):
    assert event_of(operation, status) is event


@pytest.mark.parametrize(
    ("status", "whole", "outcome"),
    [
        (200, True, 0),
        (206, True, 0),
        (304, True, 0),
        (200, False, 4),
        (404, True, 4),
        (429, True, 4),
        (503, True, 8),
    ],
)
def test_outcomes(status, whole, outcome):
    assert outcome_of(status, whole) == outcome


def test_fields_name_code_and_action():
    assert AuditEvent.QUERY.fields == {"event": "Query", "event_code": "110112", "action": "E"}
