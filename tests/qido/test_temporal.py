from datetime import UTC, date, datetime, time, timedelta

import pytest

from dicomweb_gateway.qido.temporal import (
    parse_date,
    parse_moment,
    parse_offset,
    parse_time,
    parse_zone,
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
    ("zone", "text", "start", "end"),
    [
        ("Europe/Berlin", "20240115103000", datetime(2024, 1, 15, 9, 30), datetime(2024, 1, 15, 9, 30)),
        ("Europe/Berlin", "20240715103000", datetime(2024, 7, 15, 8, 30), datetime(2024, 7, 15, 8, 30)),
        (
            "Europe/Berlin",
            "20240715103000-0500",
            datetime(2024, 7, 15, 15, 30),
            datetime(2024, 7, 15, 15, 30),
        ),
        ("-0330", "20240715103000", datetime(2024, 7, 15, 14), datetime(2024, 7, 15, 14)),
        ("Europe/Berlin", "2024", datetime(2023, 12, 31, 23), datetime(2024, 12, 31, 22, 59, 59)),
        # a day of 23 hours, one of 25, and what is left out and repeated on them
        ("Europe/Berlin", "20240331", datetime(2024, 3, 30, 23), datetime(2024, 3, 31, 21, 59, 59)),
        ("Europe/Berlin", "20241027", datetime(2024, 10, 26, 22), datetime(2024, 10, 27, 22, 59, 59)),
        ("Europe/Berlin", "2024033102", datetime(2024, 3, 31, 1), datetime(2024, 3, 31, 1, 59, 59)),
        ("Europe/Berlin", "2024102702", datetime(2024, 10, 27, 0), datetime(2024, 10, 27, 1, 59, 59)),
        ("Europe/Berlin", "202410270230", datetime(2024, 10, 27, 0, 30), datetime(2024, 10, 27, 0, 30, 59)),
        # the clock is changed at midnight: the day begins at one, and ends at the second 23:59:59
        ("America/Sao_Paulo", "20181104", datetime(2018, 11, 4, 3), datetime(2018, 11, 5, 1, 59, 59)),
        ("America/Sao_Paulo", "20180217", datetime(2018, 2, 17, 2), datetime(2018, 2, 18, 2, 59, 59)),
    ],
)
def test_moments_in_a_zone(zone, text, start, end):
    found = parse_moment(text, parse_zone(zone))
    assert found == (start, end.replace(microsecond=999999))


@pytest.mark.parametrize("text", ["0001", "9999"])
def test_moments_that_utc_cannot_write(text):
    assert parse_moment(text, parse_zone("+0100" if text == "0001" else "America/New_York")) is None


def test_moments_in_data_of_no_offset_use_the_zone():
    zone = parse_zone("Europe/Berlin")
    assert stored_moment("20240701120000", None, zone) == datetime(2024, 7, 1, 10)
    assert stored_moment("20240701120000", "nonsense", zone) == datetime(2024, 7, 1, 10)
    assert stored_moment("20240701120000", "-0500", zone) == datetime(2024, 7, 1, 17)
    assert stored_moment("20240701120000+0000", "-0500", zone) == datetime(2024, 7, 1, 12)
    assert stored_moment("20241027023000", None, zone) == datetime(2024, 10, 27, 0, 30)


@pytest.mark.parametrize(
    ("text", "hours"),
    [("UTC", 0), ("Asia/Kolkata", 5.5), ("+0100", 1), ("-1200", -12)],
)
def test_zones(text, hours):
    assert parse_zone(text).utcoffset(datetime(2024, 1, 1, tzinfo=UTC)) == timedelta(hours=hours)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Europe",
        "Europe/Nowhere",
        "../etc/passwd",
        "/etc/localtime",
        "+1500",
        "+01:00",
        "0100",
        "é",
        "a\0b",
    ],
)
def test_no_zones(text):
    assert parse_zone(text) is None


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
