"""Items of RequestAttributesSequence in our own tables."""

from sqlalchemy import exists, or_

from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index.patterns import Expression, like_any
from dicomweb_gateway.qido.expression import Condition, EmptyOr, IsEmpty, RequestItem, TextIn

_SERIES, _REQUEST = side.gateway_series, side.gateway_request


def meets_request(condition: RequestItem) -> Expression:
    """The series has an item that meets all conditions; none meets those that ask for no value (Q-25)."""
    same = _REQUEST.c.series_key == _SERIES.c.series_key
    found = exists().where(same, *(_of_item(one) for one in condition.conditions))
    if all(isinstance(one, IsEmpty | EmptyOr) for one in condition.conditions):
        return or_(found, ~exists().where(same))
    return found


def _of_item(condition: Condition) -> Expression:
    """On one item, all of whose keys are text."""
    match condition:
        case TextIn(attribute, patterns):
            return like_any(_REQUEST.c[attribute.own_column], patterns)
        case IsEmpty(attribute):
            return _REQUEST.c[attribute.own_column].is_(None)
        case EmptyOr(empty, other):
            return or_(_of_item(empty), _of_item(other))
    raise TypeError(f"{type(condition).__name__} is no condition on a request item")
