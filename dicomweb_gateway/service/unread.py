"""What rules cannot judge before `index sync` has read it; told at the start and by `check`."""

from dicomweb_gateway.access.rules import AccessRules
from dicomweb_gateway.index.known import only_by_lambda


def unread_by_rules(rules: AccessRules, index_url: str) -> str | None:
    """What callers miss whose rules ask for attributes, None for nothing. Raises IndexUnavailable."""
    if not rules.want_attributes or index_url.startswith("sqlite"):
        return None
    number = only_by_lambda(index_url)
    if not number:
        return None
    return (
        f"`index sync` has not read {number} image sets that the AWS Lambda has indexed: callers whose rules "
        "ask for attributes (`only`) find them only by searches that name a study"
    )
