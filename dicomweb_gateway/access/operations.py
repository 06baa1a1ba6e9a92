"""The kinds of things that a caller may do; every route is of one kind."""

from enum import StrEnum


class Operation(StrEnum):
    """What rules grant, but for the last two, which need no grant."""

    SEARCH = "search"
    RETRIEVE = "retrieve"
    RENDERED = "rendered"
    TLM = "tlm"
    IMPORT = "import"
    ADMIN = "admin"
    ENTER = "enter"
    """Open to every caller who is known: nothing of patients is in it."""
    PUBLIC = "public"
    """Open to all, also without a login: for load balancers and browsers' preflights."""


GRANTED = tuple(one for one in Operation if one not in (Operation.ENTER, Operation.PUBLIC))
READING = (Operation.SEARCH, Operation.RETRIEVE, Operation.RENDERED, Operation.TLM)
"""What a caller may do where no rules are configured: changing and administering need a rule."""
