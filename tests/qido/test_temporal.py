from datetime import date, time

import pytest

from dicomweb_gateway.qido.temporal import parse_date, parse_time, stored_date, stored_time


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
