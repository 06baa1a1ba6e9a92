"""Answers that leave instances out (dicomweb.md W-10)."""

from collections.abc import Sequence

from flask import Response

_NAMED = 20
"""Instances that a Warning names; the header must stay small."""


def told_whether_whole(response: Response, left_out: Sequence[str], etag: str) -> Response:
    """`response` with its tag when nothing was left out.

    Else a 206 without one, whose Warning tells how many instances are missing, and which.
    """
    if not left_out:
        response.headers["ETag"] = etag
        return response
    named = ", ".join(left_out[:_NAMED])
    response.status_code = 206
    response.headers.add("Warning", f'299 - "{len(left_out)} instances left out: {named}"')
    return response
