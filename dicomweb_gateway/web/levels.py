"""startLevel and endLevel of a frame request (healthimaging.md 7.1)."""

from collections.abc import Mapping

from dicomweb_gateway.tlm.levels import parse_level


def parse_levels(args: Mapping[str, str]) -> tuple[int | None, int | None]:
    """(start, end), 0-based and included, None where not given; InvalidRequest names a junk value."""
    start, end = args.get("startLevel"), args.get("endLevel")
    return (
        None if start is None else parse_level(start, "startLevel"),
        None if end is None else parse_level(end, "endLevel"),
    )
