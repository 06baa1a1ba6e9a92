"""Values of date and time keys as ranges (dicomweb.md Q-18 to Q-20)."""

from collections.abc import Callable, Iterator
from datetime import tzinfo
from typing import TypeVar

from dicomweb_gateway.errors import InvalidRequest
from dicomweb_gateway.qido.expression import DateRange, MomentRange, TimeRange
from dicomweb_gateway.qido.temporal import parse_date, parse_moment, parse_time

Read = TypeVar("Read")


def date_range(value: str, name: str) -> DateRange:
    """One date or a range of them."""
    start_text, dash, end_text = value.partition("-")
    ends = _ends(start_text, end_text, lambda text: parse_date(text.strip(" ")))
    if ends is None:
        raise InvalidRequest(f"{name}: not a date YYYYMMDD or range of dates a-b, a- or -b")
    start, end = ends
    _check_order(start is not None and end is not None and start > end, name)
    return DateRange(start, end if dash else start)


def time_range(value: str, name: str) -> TimeRange:
    """One time or a range of them; a time means all moments that begin like it."""
    start_text, dash, end_text = value.partition("-")
    ends = _ends(start_text, end_text, lambda text: parse_time(text.strip(" ")))
    if ends is None:
        raise InvalidRequest(f"{name}: not a time HH[MM[SS[.F]]] or range of times a-b, a- or -b")
    start, end = ends
    _check_order(start is not None and end is not None and start.start > end.end, name)
    last = end if dash else start
    return TimeRange(start and start.start, last and last.end)


def moment_range(value: str, name: str, zone: tzinfo) -> MomentRange:
    """One DT value or a range of them; a `+` that the query string made a space is one again.

    A hyphen and four digits are an offset wherever they can be, so the last hyphen that parts two values
    is the one that does (Q-20).
    """
    value = value.replace(" ", "+")
    whole = parse_moment(value, zone)
    if whole is not None:
        return MomentRange(whole.start, whole.end)
    for start_text, end_text in _halves(value):
        ends = _ends(start_text, end_text, lambda text: parse_moment(text, zone))
        if ends is not None:
            start, end = ends
            _check_order(start is not None and end is not None and start.start > end.end, name)
            return MomentRange(start and start.start, end and end.end)
    raise InvalidRequest(f"{name}: not a date and time or range of them a-b, a- or -b")


def _ends(
    start_text: str, end_text: str, parse: Callable[[str], Read | None]
) -> tuple[Read | None, Read | None] | None:
    """Both ends, None for one that is left open; None where one cannot be read, or both are open."""
    start, end = parse(start_text), parse(end_text)
    if (start_text and start is None) or (end_text and end is None) or (start is None and end is None):
        return None
    return start, end


def _check_order(is_backward: bool, name: str) -> None:
    if is_backward:
        raise InvalidRequest(f"{name}: the range ends before it starts")


def _halves(value: str) -> Iterator[tuple[str, str]]:
    for position in range(len(value) - 1, -1, -1):
        if value[position] == "-":
            yield value[:position], value[position + 1 :]
