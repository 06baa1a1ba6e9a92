"""Searches for moments, in UTC and in zones of their own (dicomweb.md Q-20)."""

from zoneinfo import ZoneInfo

import pytest

from dicomweb_gateway.errors import InvalidRequest
from dicomweb_gateway.index.engine import make_engine
from dicomweb_gateway.index.indexer import index_image_set
from dicomweb_gateway.index.migrate import upgrade
from dicomweb_gateway.index.writer import IndexWriter
from dicomweb_gateway.qido.parse import parse_query
from tests.index.documents import document, instance
from tests.index.filled import ask, uids
from tests.index.searching import search

BERLIN = ZoneInfo("Europe/Berlin")

MOMENTS = {
    "1": ("20240101103000", "+0100"),
    "2": ("20240101103000.5-0500", None),
    "3": ("2024", None),
    "4": ("20231231233000", "-0100"),
    "5": ("nonsense", None),
    "6": (None, "+0100"),
}


@pytest.fixture(scope="module")
def moments(new_index_url):
    url = new_index_url()
    upgrade(url)
    engine = make_engine(url)
    made = {
        f"1.2.1.{key}": instance(f"1.2.1.{key}", AcquisitionDateTime=moment, TimezoneOffsetFromUTC=zone)
        for key, (moment, zone) in MOMENTS.items()
    }
    index_image_set(engine, document("1.2", {"1.2.1": made}), version=1)
    yield engine
    engine.dispose()


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("20240101093000", "1"),
        ("20240101103000+0100", "1"),
        ("20240101103000 0100", "1"),
        ("2024010109", "1"),
        ("202401011530", "2"),
        ("20240101153000.4", ""),
        ("20240101153000.5", "2"),
        ("20240101", "1 2 3 4"),
        ("2024", "1 2 3 4"),
        ("2024-2025", "1 2 3 4"),
        ("20240101-0100", "1 2"),
        ("-20240101002959", "3"),
        ("-2023", ""),
        ("2025-", ""),
        ("20240101013000+0100-20240101103000+0100", "1 4"),
        ("20240101003000-20240101003000", "4"),
        ("*", "1 2 3 4 5 6"),
        ("", "1 2 3 4 5 6"),
    ],
)
def test_moments(moments, value, found):
    """dicomweb.md Q-20: compared in UTC, values without offset in the zone of their instance."""
    result = ask(moments, "instance", ("AcquisitionDateTime", value))
    assert " ".join(uid[6:] for uid in sorted(uids(result, "instance"))) == found


@pytest.fixture(scope="module")
def zoned(new_index_url):
    url = new_index_url()
    upgrade(url)
    writer = IndexWriter(url, BERLIN)
    made = {
        f"1.2.1.{key}": instance(f"1.2.1.{key}", AcquisitionDateTime=moment, TimezoneOffsetFromUTC=zone)
        for key, (moment, zone) in {**MOMENTS, "7": ("20240701103000", None)}.items()
    }
    writer.put(document("1.2", {"1.2.1": made}), version=1, is_primary=True, updated_at=None)
    yield make_engine(url)
    writer.close()


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("20240101103000", "1"),
        ("20240701103000", "7"),
        ("20240701083000+0000", "7"),
        ("2024010110", "1"),
        ("202401011630", "2"),
        ("20231231230000+0000", "3"),
        ("20240101", "1 2 3 4"),
        ("20240101-0100", "1 2"),
        ("20240701-20240701", "7"),
    ],
)
def test_moments_in_a_configured_zone(zoned, value, found):
    """dicomweb.md Q-20: of values without offset, in queries and in data without an offset of its own."""
    result = search(zoned, parse_query("instance", [("AcquisitionDateTime", value)], zone=BERLIN))
    assert " ".join(uid[6:] for uid in sorted(uids(result, "instance"))) == found


@pytest.mark.parametrize(
    "value", ["2024*", "-", "2025-2024", "20241301", "20240101-x", "0001+1400", "2024-"[:3]]
)
def test_moments_that_are_none(moments, value):
    with pytest.raises(InvalidRequest, match="AcquisitionDateTime"):
        ask(moments, "instance", ("AcquisitionDateTime", value))
