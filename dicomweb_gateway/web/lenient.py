"""Refusals that our own pages ask to have as an empty answer (RFC 7240 4.4).

Browsers write every answer of 400 and above into their console as an error, also where a page shows that a
picture cannot be made.
"""

from flask import Request, Response

from dicomweb_gateway.access.audit_events import outcome_of
from dicomweb_gateway.errors import NotAcceptable, UndecodablePixels
from dicomweb_gateway.web.audited import note
from dicomweb_gateway.web.errors import message_of, status_of
from dicomweb_gateway.web.headers import add_vary

PREFERENCE = "handling=lenient"


def lenient_answer(request: Request, error: Exception) -> Response | None:
    """204 whose Warning gives the reason, for who prefers that to a 406; None for anything else.

    The audit log tells what it would have been.
    """
    if not isinstance(error, NotAcceptable | UndecodablePixels) or not _prefers(request):
        return None
    response = Response(status=204)
    del response.headers["Content-Type"]
    words = " ".join(message_of(error).split()).replace('"', "'").replace("\\", "/")
    response.headers["Warning"] = f'299 - "{words.encode("ascii", "replace").decode()}"'
    response.headers["Preference-Applied"] = PREFERENCE
    response.headers["Cache-Control"] = "no-store"
    add_vary(response, "Prefer", "Accept")
    refused = status_of(error)
    note(request, outcome=outcome_of(refused, True), refused=refused)
    return response


def _prefers(request: Request) -> bool:
    given = request.headers.get("Prefer")
    if given is None or request.method != "GET":
        return False
    return PREFERENCE in (word.strip().lower() for word in given.replace(";", ",").split(","))
