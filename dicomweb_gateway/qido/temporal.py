"""DICOM dates and times as points and intervals (PS3.5 6.2: DA, TM)."""

import re
from datetime import date, time
from typing import NamedTuple

_DATE = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})", re.ASCII)
_OLD_DATE = re.compile(r"([0-9]{4})\.([0-9]{2})\.([0-9]{2})", re.ASCII)
_TIME = re.compile(r"([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:\.([0-9]{1,6}))?)?)?", re.ASCII)
_OLD_TIME = re.compile(r"([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,6}))?)?", re.ASCII)


class TimeSpan(NamedTuple):
    """The interval that one TM value stands for, both ends included."""

    start: time
    end: time


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
