"""Where a browser goes after the login: to an address of this gateway, and nowhere else."""

import re

_LONGEST = 2000
_PART = r"[A-Za-z0-9._~!$&'()*+,;=:@%-]+"
_OWN = re.compile(rf"/(?:{_PART}(?:/{_PART})*/?)?(?:\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?")
_LOGIN = re.compile(r"/log(?:in|out)(?:[/?]|$)", re.IGNORECASE)
_UPWARDS = re.compile(r"/(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)
"""Steps that browsers take away, with what stands before them (URL Standard, 4.4)."""


def own_path(text: str) -> str:
    """`text`, where it is a path below our root, with or without a query; else the root.

    What a browser could take for another site (`//site`, `/\\site`, anything with a control character) is
    no such path, and neither is the login itself, nor one with dots that lead out of our root, which may lie
    below another site's.
    """
    path = text.partition("?")[0]
    if len(text) > _LONGEST or not _OWN.fullmatch(text) or _LOGIN.match(text) or _UPWARDS.search(path):
        return "/"
    return text
