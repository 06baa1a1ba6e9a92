"""DICOM dates and times as points and intervals (PS3.5 6.2: DA, TM, DT)."""

import re
from calendar import monthrange
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

_DATE = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})", re.ASCII)
_OLD_DATE = re.compile(r"([0-9]{4})\.([0-9]{2})\.([0-9]{2})", re.ASCII)
_TIME = re.compile(r"([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:\.([0-9]{1,6}))?)?)?", re.ASCII)
_OLD_TIME = re.compile(r"([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,6}))?)?", re.ASCII)
_MOMENT = re.compile(
    r"([0-9]{4})(?:([0-9]{2})(?:([0-9]{2})([0-9]{2}(?:[0-9]{2}(?:[0-9]{2}(?:\.[0-9]{1,6})?)?)?)?)?)?"
    r"([+-][0-9]{4})?",
    re.ASCII,
)
_OFFSET = re.compile(r"([+-])([0-9]{2})([0-5][0-9])", re.ASCII)
_WEST, _EAST = timedelta(hours=-12), timedelta(hours=14)


class TimeSpan(NamedTuple):
    """The interval that one TM value stands for, both ends included."""

    start: time
    end: time


class MomentSpan(NamedTuple):
    """The interval that one DT value stands for, both ends included: UTC moments without a zone."""

    start: datetime
    end: datetime


def parse_date(text: str) -> date | None:
    """The day of a DA value `YYYYMMDD`; None when it is none or does not exist."""
    return _day(_DATE.fullmatch(text))


def parse_time(text: str) -> TimeSpan | None:
    """The interval of a TM value `HH[MM[SS[.F1-6]]]`; None when it is none.

    A shorter value covers its whole hour, minute, second or fraction (dicomweb.md Q-19). Second 60, a
    leap second, counts as the end of second 59.
    """
    return _span(_TIME.fullmatch(text))


def stored_date(text: str | None) -> date | None:
    """The day of a DA value met in data, the old form `YYYY.MM.DD` included; None when unusable."""
    return (text and (_day(_DATE.fullmatch(text)) or _day(_OLD_DATE.fullmatch(text)))) or None


def stored_time(text: str | None) -> time | None:
    """The start of a TM value met in data, the old form `HH:MM:SS` included; None when unusable."""
    span = text and (_span(_TIME.fullmatch(text)) or _span(_OLD_TIME.fullmatch(text)))
    return span.start if span else None


def parse_offset(text: str | None) -> timedelta | None:
    """An offset from UTC `&ZZXX`, -1200 to +1400 (PS3.5 6.2); None when it is none."""
    match = _OFFSET.fullmatch(text or "")
    if match is None:
        return None
    size = timedelta(hours=int(match[2]), minutes=int(match[3]))
    offset = size if match[1] == "+" else -size
    return offset if _WEST <= offset <= _EAST else None


def parse_moment(text: str, offset: timedelta = timedelta()) -> MomentSpan | None:
    """The interval of a DT value `YYYY[MM[DD[HH[MM[SS[.F1-6]]]]]][&ZZXX]`; None when it is none.

    `offset` from UTC is that of values which name none. A shorter value covers its whole year, month, day
    and so on (dicomweb.md Q-20). A year whose moments UTC cannot write (1 or 9999 beside an offset) is none.
    """
    match = _MOMENT.fullmatch(text)
    if match is None:
        return None
    year, month, day, clock, zone = match.groups()
    own = offset if zone is None else parse_offset(zone)
    span = TimeSpan(time.min, time.max) if clock is None else _span(_TIME.fullmatch(clock))
    if own is None or span is None:
        return None
    try:
        first = date(int(year), int(month or 1), int(day or 1))
        last_month = int(month or 12)
        last = date(int(year), last_month, int(day or monthrange(int(year), last_month)[1]))
        return MomentSpan(datetime.combine(first, span.start) - own, datetime.combine(last, span.end) - own)
    except (ValueError, OverflowError):
        return None


def stored_moment(text: str | None, offset: str | None) -> datetime | None:
    """The start of a DT value met in data, in UTC; None when unusable.

    `offset`: Timezone Offset From UTC of the data, that of values without their own; else UTC.
    """
    span = text and parse_moment(text, parse_offset(offset) or timedelta())
    return span.start if span else None


def _day(match: re.Match[str] | None) -> date | None:
    if match is None:
        return None
    try:
        return date(*(int(part) for part in match.groups()))
    except ValueError:
        return None


def _span(match: re.Match[str] | None) -> TimeSpan | None:
    if match is None:
        return None
    hour, minute, second, fraction = match.groups()
    try:
        start = _clock(hour, minute or "00", second or "00", (fraction or "").ljust(6, "0"))
        return TimeSpan(start, _clock(hour, minute or "59", second or "59", (fraction or "").ljust(6, "9")))
    except ValueError:
        return None


def _clock(hour: str, minute: str, second: str, fraction: str) -> time:
    if second == "60":
        second, fraction = "59", "999999"
    return time(int(hour), int(minute), int(second), int(fraction))
