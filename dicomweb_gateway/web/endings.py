"""What is done when an answer has gone out or was cut: the audit log and the limits wait for that."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Response

AT_END = "dicomweb_gateway.at_end"
"""Key of the WSGI environment: a list that `at_end` fills and the server empties, the answer being over."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How an answer went: status on the wire, bytes of its body that the network took, whether all."""

    status: int
    sent: int
    is_whole: bool


AtEnd = Callable[[Ending], None]


def at_end(environ: dict[str, Any], response: Response, do: AtEnd) -> None:
    """Have `do` called when `response` is over; at once under a server that does not say when that is."""
    waiting: list[AtEnd] | None = environ.get(AT_END)
    if waiting is None:
        do(Ending(response.status_code, response.content_length or 0, True))
    else:
        waiting.append(do)
