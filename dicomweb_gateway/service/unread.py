"""What `index sync` has not read, for callers who do not see everything; told at the start and by `check`."""

from dicomweb_gateway.access.rules import AccessRules
from dicomweb_gateway.index.known import holds_others, only_by_lambda


def unread_by_narrow(rules: AccessRules, allowed: frozenset[str] | None, index_url: str) -> str | None:
    """What costs callers time who do not see all that the index holds, None for nothing.

    `allowed`: the data stores that the gateway serves, None for all. Raises IndexUnavailable.
    """
    if index_url.startswith("sqlite"):
        return None
    if not rules.hide_something and (allowed is None or not holds_others(index_url, allowed)):
        return None
    number = only_by_lambda(index_url)
    if not number:
        return None
    return (
        f"`index sync` has not read {number} image sets that the AWS Lambda has indexed: callers who do not "
        "see all that the index holds wait until metadata documents of them are read, and searches that name "
        "no study are refused where these are too many"
    )
