"""What the audit log says of a request: who asked what, and what they got (DICOM PS3.15 A.5)."""

import itertools
import os
import re
import time
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qs

from flask import Request, Response

from dicomweb_gateway.access.audit_events import AuditEvent, event_of, outcome_of
from dicomweb_gateway.access.audit_lines import Went
from dicomweb_gateway.access.audit_log import AuditLog
from dicomweb_gateway.access.basic import name_in
from dicomweb_gateway.access.caller import Caller
from dicomweb_gateway.access.operations import Operation
from dicomweb_gateway.web.client import address_of, known_caller
from dicomweb_gateway.web.endings import AtEnd, Ending, at_end
from dicomweb_gateway.web.rights import NOWHERE, PLACE, Place
from dicomweb_gateway.web.services import Services

_NOTES = "dicomweb_gateway.audit_notes"
_EVENT = "dicomweb_gateway.audit_event"
_SECRET = frozenset(
    (
        *("token", "access_token", "id_token", "refresh_token", "jwt", "bearer", "authorization", "auth"),
        *(
            "api_key",
            "apikey",
            "api-key",
            "x-api-key",
            "key",
            "password",
            "secret",
            "client_secret",
            "code",
            "state",
        ),
        *("x-amz-security-token", "x-amz-signature", "x-amz-credential", "signature", "sig"),
    )
)
"""Parameters whose values are never written."""
_TOKEN = re.compile(r"dwg_[A-Za-z0-9_-]{20,}|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
"""Static tokens and JWT, wherever somebody has put them by mistake."""
_LEFT_OUT = "[left out]"
_NAMED = re.compile(
    r"/(studies|series|instances|frames|rendered|thumbnail|bulkdata|datastore|imageSet)/([^/]+)"
)
_FIELDS = {
    "studies": "study",
    "series": "series",
    "instances": "instance",
    "frames": "frames",
    "rendered": "frames",
    "thumbnail": "frames",
    "bulkdata": "bulk_data",
    "datastore": "data_store",
    "imageSet": "image_set",
}


_Parameter = tuple[str, list[str]]
"""Name and values of a parameter of a query."""


class _Ids:
    """The beginning of this process's ids and the number of the next; made anew after a fork."""

    kept: tuple[int, str, Iterator[int]] | None = None


_IDS = _Ids()
_OPEN = (Operation.PUBLIC, Operation.ENTER)
_REFUSED = (401, 403, 429)
_LONGEST_NAME = 255
"""Characters of a name that is written down; what people type there may be anything."""


def note(request: Request, **facts: Any) -> None:
    """Have the line of `request` say `facts` too, such as `results`, the number of rows of a search."""
    request.environ.setdefault(_NOTES, {}).update(facts)


def note_event(request: Request, event: AuditEvent, kind: str) -> None:
    """Have the line of `request` be of `event` and its `kind`, such as Login, whatever it asks for."""
    request.environ[_EVENT] = event
    note(request, type=kind)


def note_tried(request: Request, name: str) -> None:
    """Have the line of `request` say as whom somebody tried in vain to log in; "" for no name."""
    if name:
        kept = name[:_LONGEST_NAME]
        note(request, tried="".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in kept))


def _note_password(request: Request) -> None:
    """The name beside a password that was not taken (RFC 7617)."""
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        note_tried(request, name_in(credentials.strip(" \t")))


def audit(request: Request, response: Response, rule: str | None, began: float, services: Services) -> None:
    """Write the line of `request` when `response` is over; `began` by time.perf_counter.

    Health checks, pages and preflights, which show nothing of patients, have none unless they were refused.
    """
    log = services.audit
    if log is None:
        return
    place: Place = request.environ.get(PLACE, NOWHERE)
    operation = None if rule is None else place.operation
    event: AuditEvent | None = request.environ.get(_EVENT)
    if event is None and operation in _OPEN and response.status_code not in _REFUSED:
        return
    if request.method == "OPTIONS" and response.status_code < 400:
        return
    environ = request.environ
    caller = known_caller(environ)
    if caller is None and response.status_code in _REFUSED:
        _note_password(request)
    entry = {
        **_who(caller),
        "address": address_of(environ, services.config),
        "operation": operation.value if operation is not None else None,
        "method": request.method,
        "route": rule,
        **what_was_asked(request.path, _parameters_of(request)),
        **environ.get(_NOTES, {}),
    }
    at_end(environ, response, _line_of(log, operation, entry, began, response.status_code, event))


def _who(caller: Caller | None) -> dict[str, str | None]:
    """The fields of a caller, null where nobody has logged in."""
    if caller is None or caller.mode == "none":
        return {"user": None, "client": None, "login": None}
    return {"user": caller.name, "client": caller.client, "login": caller.mode}


def audit_unrouted(log: AuditLog, address: str, method: str, path: str, query: str, status: int) -> AtEnd:
    """The line of a request that no application sees: it is malformed, or its client has left.

    It is written when the answer, with `status`, is over.
    """
    entry = {
        **_who(None),
        "address": address,
        "operation": None,
        "method": method,
        "route": None,
        **what_was_asked(path, _parameters_in(query)),
    }
    return _line_of(log, None, entry, time.perf_counter(), status)


def _parameters_of(request: Request) -> Iterable[_Parameter]:
    # as the route has read them, if it has: to read a query again costs as much as to write the line
    known = request.__dict__.get("args")
    if known is not None:
        parameters: Iterable[_Parameter] = known.lists()
        return parameters
    return _parameters_in(request.environ.get("QUERY_STRING", ""))


def _parameters_in(query: str) -> Iterable[_Parameter]:
    return parse_qs(query, keep_blank_values=True, errors="replace").items() if query else ()


def what_was_asked(path: str, query: Iterable[_Parameter]) -> dict[str, Any]:
    """Patients' data: the UIDs and ids in `path`, and the names and values of `query`, tokens left out.

    A path that names none is written as it is.
    """
    path = _without_tokens(path)
    found: dict[str, Any] = {_FIELDS[kind]: name for kind, name in _NAMED.findall(path)}
    if not found:
        found["path"] = path
    told: dict[str, Any] = {}
    for name, values in query:
        if name.strip().lower() in _SECRET:
            values = [_LEFT_OUT] * len(values)
        values = [_without_tokens(value) for value in values]
        told[_without_tokens(name)] = values if len(values) > 1 else values[0]
    if told:
        found["query"] = told
    return found


def _without_tokens(text: str) -> str:
    return _TOKEN.sub(_LEFT_OUT, text) if "dwg_" in text or "eyJ" in text else text


def _line_of(
    log: AuditLog,
    operation: Operation | None,
    entry: dict[str, Any],
    began: float,
    status: int,
    event: AuditEvent | None = None,
) -> AtEnd:
    """What writes the line when an answer with `status` is over; others do if this process is killed.

    An outcome in `entry` is one that the status does not tell.
    """
    first = event or event_of(operation, status)
    # a line says it once: of members of one name readers take whichever they like
    told = entry.pop("outcome", 0)
    line = log.begin(_new_id(), first, status, entry)

    def write(ending: Ending) -> None:
        went = Went(
            first if event is not None or ending.status == status else event_of(operation, ending.status),
            max(told, outcome_of(ending.status, ending.is_whole)),
            ending.status,
            ending.is_whole,
            ending.sent,
            (time.perf_counter() - began) * 1000,
        )
        log.end(line, went)

    return write


def _new_id() -> str:
    """What no other line of any log has; not secret, and no call of the system for each."""
    own = _IDS.kept
    if own is None or own[0] != os.getpid():
        _IDS.kept = own = (os.getpid(), os.urandom(8).hex(), itertools.count())
    return f"{own[1]}{next(own[2]):08x}"
