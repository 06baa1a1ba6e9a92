"""How far a viewer's ticket leads: to reading one study below one base path."""

from flask import Request

from dicomweb_gateway.access.operations import READING, Operation
from dicomweb_gateway.access.tickets import Ticket
from dicomweb_gateway.web.resource import study_in
from dicomweb_gateway.web.rights import PLACE, Place

TICKET = "dicomweb_gateway.viewer_ticket"
"""In the WSGI environment: the Ticket by which the caller is known, where it is one."""


def takes_tickets(request: Request) -> bool:
    """Whether the request is of a kind that tickets are for; everywhere else they are no tokens."""
    place: Place | None = request.environ.get(PLACE)
    return place is not None and place.ae_path is not None and place.operation in READING


def ticket_of(request: Request) -> Ticket | None:
    """The ticket by which the caller is known."""
    found: Ticket | None = request.environ.get(TICKET)
    return found


def is_covered(request: Request, place: Place, ticket: Ticket) -> bool:
    """Whether the ticket shows what the request names: its study, or a search, which finds nothing else."""
    if place.ae_path != ticket.path:
        return False
    study = study_in(request.path.removeprefix(ticket.path))
    return study == ticket.study if study is not None else place.operation is Operation.SEARCH
