"""The path of the gateway's root as browsers see it, where a proxy has put it below another site's."""

import re
from urllib.parse import urlsplit

_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)*")


def prefix_of(root: str) -> str:
    """The path of `root`, such as "/imaging" of "https://pacs.example.org/imaging/"; "" for that of a site.

    It goes into scripts and pages, so that one of other letters is not taken.
    """
    path = urlsplit(root).path.rstrip("/")
    return path if _PREFIX.fullmatch(path) else ""
