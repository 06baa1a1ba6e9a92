"""startLevel and endLevel of a frame request (healthimaging.md 7.1)."""

from collections.abc import Sequence
from dataclasses import replace

from werkzeug.datastructures import MultiDict

from dicomweb_gateway.tlm.levels import parse_level
from dicomweb_gateway.web.accept import MediaRange
from dicomweb_gateway.web.requests import single

Levels = tuple[int | None, int | None]
"""(start, end), 0-based and included, None where not given."""

WHOLE: Levels = (None, None)


def as_stored(ranges: Sequence[MediaRange]) -> list[MediaRange]:
    """`ranges`; those without a transfer syntax mean the stored one, since levels are bytes of that."""
    return [replace(wanted, transfer_syntax=wanted.transfer_syntax or "*") for wanted in ranges]


def parse_levels(args: MultiDict[str, str]) -> Levels:
    """(start, end), 0-based and included, None where not given; InvalidRequest names a junk value."""
    start, end = single(args, "startLevel"), single(args, "endLevel")
    return (
        None if start is None else parse_level(start, "startLevel"),
        None if end is None else parse_level(end, "endLevel"),
    )
