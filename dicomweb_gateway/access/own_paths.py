"""Where a browser goes after the login: to an address of this gateway, and nowhere else."""

import re

_LONGEST = 2000
_PART = r"[A-Za-z0-9._~!$&'()*+,;=:@%-]+"
_OWN = re.compile(rf"/(?:{_PART}(?:/{_PART})*/?)?(?:\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?")
_LOGIN = re.compile(r"/log(?:in|out)(?:[/?]|$)", re.IGNORECASE)


def own_path(text: str) -> str:
    """`text`, where it is a path below our root, with or without a query; else the root.

    What a browser could take for another site (`//site`, `/\\site`, anything with a control character) is
    no such path, and neither is the login itself.
    """
    if len(text) > _LONGEST or not _OWN.fullmatch(text) or _LOGIN.match(text):
        return "/"
    return text
