from datetime import date, datetime, time, timedelta

import pytest

from dicomweb_gateway.qido.temporal import (
    parse_date,
    parse_moment,
    parse_offset,
    parse_time,
    stored_date,
    stored_moment,
    stored_time,
)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("20240229", date(2024, 2, 29)),
        ("00010101", date(1, 1, 1)),
        ("20230229", None),
        ("20240231", None),
        ("20241301", None),
        ("00000101", None),
        ("2024.02.29", None),
        ("2024", None),
        ("202402290", None),
        ("２０２４０２２９", None),
        ("", None),
    ],
)
def test_dates(text, day):
    assert parse_date(text) == day


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("10", time(10), time(10, 59, 59, 999999)),
        ("1030", time(10, 30), time(10, 30, 59, 999999)),
        ("103015", time(10, 30, 15), time(10, 30, 15, 999999)),
        ("103015.5", time(10, 30, 15, 500000), time(10, 30, 15, 599999)),
        ("103015.123456", time(10, 30, 15, 123456), time(10, 30, 15, 123456)),
        ("235960", time(23, 59, 59, 999999), time(23, 59, 59, 999999)),
    ],
)
def test_times(text, start, end):
    assert parse_time(text) == (start, end)


@pytest.mark.parametrize(
    "text", ["", "1", "103", "24", "1060", "103061", "10:30", "103015.", "103015.1234567", "1030.5"]
)
def test_no_times(text):
    assert parse_time(text) is None


@pytest.mark.parametrize(
    ("text", "day"),
    [("2012.04.18", date(2012, 4, 18)), ("20120418", date(2012, 4, 18)), (None, None), ("x", None)],
)
def test_dates_in_data(text, day):
    assert stored_date(text) == day


@pytest.mark.parametrize(
    ("text", "clock"),
    [
        ("08:35:01", time(8, 35, 1)),
        ("083501.000", time(8, 35, 1)),
        ("1530", time(15, 30)),
        (None, None),
        ("x", None),
    ],
)
def test_times_in_data(text, clock):
    assert stored_time(text) == clock


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2024", datetime(2024, 1, 1), datetime(2024, 12, 31, 23, 59, 59, 999999)),
        ("202402", datetime(2024, 2, 1), datetime(2024, 2, 29, 23, 59, 59, 999999)),
        ("20240203", datetime(2024, 2, 3), datetime(2024, 2, 3, 23, 59, 59, 999999)),
        ("2024020304", datetime(2024, 2, 3, 4), datetime(2024, 2, 3, 4, 59, 59, 999999)),
        ("20240203040506", datetime(2024, 2, 3, 4, 5, 6), datetime(2024, 2, 3, 4, 5, 6, 999999)),
        ("20240203040506.7", datetime(2024, 2, 3, 4, 5, 6, 700000), datetime(2024, 2, 3, 4, 5, 6, 799999)),
        ("2024020304+0530", datetime(2024, 2, 2, 22, 30), datetime(2024, 2, 2, 23, 29, 59, 999999)),
        ("2024-0100", datetime(2024, 1, 1, 1), datetime(2025, 1, 1, 0, 59, 59, 999999)),
    ],
)
def test_moments(text, start, end):
    assert parse_moment(text) == (start, end)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "20",
        "202413",
        "20240230",
        "2024020325",
        "2024.5",
        "20240203.5",
        "2024+1500",
        "2024-2025",
        "9999-0100",
    ],
)
def test_no_moments(text):
    assert parse_moment(text) is None


def test_moments_in_data_use_the_datas_offset_unless_they_have_their_own():
    assert stored_moment("20240101120000", "+0100") == datetime(2024, 1, 1, 11)
    assert stored_moment("20240101120000-0500", "+0100") == datetime(2024, 1, 1, 17)
    assert stored_moment("20240101120000", "nonsense") == datetime(2024, 1, 1, 12)
    assert stored_moment(None, "+0100") is None
    assert stored_moment("x", None) is None


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("+0100", 1),
        ("-0330", -3.5),
        ("+1400", 14),
        ("-1200", -12),
        ("+1401", None),
        ("-1300", None),
        (None, None),
    ],
)
def test_offsets(text, hours):
    assert parse_offset(text) == (None if hours is None else timedelta(hours=hours))
