"""DICOM dates and times as points and intervals (PS3.5 6.2: DA, TM, DT)."""

import re
from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

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
_INSTANT = timedelta(microseconds=1)


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


def parse_zone(text: str) -> tzinfo | None:
    """The time zone of an IANA name, or of an offset from UTC `&ZZXX`; None when it is neither."""
    try:
        return _fixed_zone(text) or ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # the last for the name of a folder of zones
        return None


def parse_moment(text: str, zone: tzinfo = UTC) -> MomentSpan | None:
    """The interval of a DT value `YYYY[MM[DD[HH[MM[SS[.F1-6]]]]]][&ZZXX]`; None when it is none.

    `zone` is that of values which name no offset. A shorter value covers its whole year, month, day and so
    on (dicomweb.md Q-20). A year whose moments UTC cannot write (1 or 9999 beside an offset) is none.
    """
    match = _MOMENT.fullmatch(text)
    if match is None:
        return None
    year, month, day, clock, offset = match.groups()
    own = zone if offset is None else _fixed_zone(offset)
    span = TimeSpan(time.min, time.max) if clock is None else _span(_TIME.fullmatch(clock))
    if own is None or span is None:
        return None
    try:
        first = date(int(year), int(month or 1), int(day or 1))
        last_month = int(month or 12)
        last = date(int(year), last_month, int(day or monthrange(int(year), last_month)[1]))
        return _in_utc(datetime.combine(first, span.start, own), datetime.combine(last, span.end, own))
    except (ValueError, OverflowError):
        return None


def stored_moment(text: str | None, offset: str | None, zone: tzinfo = UTC) -> datetime | None:
    """The start of a DT value met in data, in UTC; None when unusable.

    `offset`: Timezone Offset From UTC of the data, that of values without their own; without it `zone` is.
    """
    span = text and parse_moment(text, _fixed_zone(offset) or zone)
    return span.start if span else None


def _fixed_zone(text: str | None) -> tzinfo | None:
    offset = parse_offset(text)
    return None if offset is None else timezone(offset)


def _in_utc(start: datetime, end: datetime) -> MomentSpan:
    """The interval between two readings of a clock, naive and in UTC.

    Where the clock is put back, a reading means the first of its two moments; a span that lasts until the
    clock repeats itself goes on through the repetition, so that the hour, the day and the year are whole.
    """
    first, last = _utc(start), _utc(end)
    again = _utc(end.replace(fold=1))
    goes_on = again > last and last + _INSTANT >= _utc(start.replace(fold=1))
    return MomentSpan(first, again if goes_on else last)


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


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
