"""Tickets for viewers: what a page asks for before it opens a study in Weasis."""

from flask import Blueprint, Response, request

from dicomweb_gateway.access.audit_events import AuditEvent
from dicomweb_gateway.access.authentication import SESSION_CHALLENGE
from dicomweb_gateway.access.operations import Operation
from dicomweb_gateway.access.sessions import Session
from dicomweb_gateway.dicom.json_model import dumps
from dicomweb_gateway.dicom.uids import require_uid
from dicomweb_gateway.errors import InvalidRequest, ResourceNotFound, Unauthenticated
from dicomweb_gateway.web.audited import note, note_event
from dicomweb_gateway.web.identity_keys import SESSION
from dicomweb_gateway.web.json_body import json_object
from dicomweb_gateway.web.services import services, services_with

blueprint = Blueprint("tickets", __name__)


@blueprint.post("/tickets")
def give_ticket() -> Response:
    """A ticket for `study` below the base path `base`, both of the body, for who has a session.

    It is a token for `Authorization: Bearer`, shown this once, with the moment (Unix time) when it ends.
    """
    gateway = services()
    session: Session | None = request.environ.get(SESSION)
    login = gateway.page_login
    if login is None or login.tickets is None:
        raise ResourceNotFound("this gateway gives viewers no tickets (VIEWER_TICKET_SECONDS)")
    if session is None:
        raise InvalidRequest("a ticket is for viewers of who has logged in at the pages")
    asked = json_object(request, ("base", "study"))
    path = asked.get("base")
    if path not in gateway.config.ae_paths:
        raise InvalidRequest("base must be one of the base paths")
    study = require_uid(str(asked.get("study", "")), "Study Instance UID")
    sight = gateway.rules.sight_of(session.caller, path, Operation.SEARCH)
    if not services_with(sight).archive.index.image_sets(study):
        raise ResourceNotFound("there is no such study")
    given = login.tickets.give(session, path, study)
    if given is None:
        raise Unauthenticated("this login has ended", [SESSION_CHALLENGE])
    text, ticket = given
    note_event(request, AuditEvent.USER_AUTHENTICATION, "Ticket")
    note(request, study=study, ticket=ticket.mark)
    response = Response(dumps({"ticket": text, "ends": ticket.row.ends_at}), content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response
