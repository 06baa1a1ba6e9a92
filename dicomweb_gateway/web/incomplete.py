"""Answers that leave instances out (dicomweb.md W-10)."""

from collections.abc import Sequence

from flask import Response

_NAMED = 20
"""Instances that a Warning names; the header must stay small."""


def mark_incomplete(response: Response, left_out: Sequence[str]) -> None:
    """Make `response` a 206 whose Warning tells how many instances are missing, and which."""
    named = ", ".join(left_out[:_NAMED])
    response.status_code = 206
    response.headers.add("Warning", f'299 - "{len(left_out)} instances left out: {named}"')
