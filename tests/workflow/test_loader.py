"""What a demo tells of its import, and the zone of what it imports; the rest of it: tests/e2e."""

from datetime import timedelta, timezone

import orjson
import pydicom
import pytest
from pydicom.data import get_testdata_file

from dicomweb_gateway.index.engine import make_engine
from dicomweb_gateway.index.migrate import upgrade
from dicomweb_gateway.qido.parse import parse_query
from dicomweb_gateway.workflow.loader import Loader, Meter, Report, _linked
from tests.emulator.running import running
from tests.index.searching import search


def job(folder, failures=(), warnings=()):
    """An import job's logs, as the emulator writes them."""
    for name, entries in (("FAILURE/failure.ndjson", failures), ("WARNING/warning.ndjson", warnings)):
        path = folder / name
        path.parent.mkdir(parents=True)
        path.write_bytes(b"".join(orjson.dumps(entry) + b"\n" for entry in entries))
    return folder


def failure(path, reason):
    return {"inputFile": path, "exception": {"exceptionType": "ValidationException", "message": reason}}


def test_a_clean_import_is_three_lines(tmp_path):
    report = Report(tmp_path / "report.txt")
    report.read(tmp_path / "no-logs", {"imported": 5, "unchanged": 2, "state": "done"})
    text = report.text({"studies": 1, "series": 2, "instances": 7})
    assert "loaded: 1 studies, 2 series, 7 instances" in text
    assert "5 files imported now, 2 unchanged" in text
    assert "left out" not in text
    assert (tmp_path / "report.txt").read_text() == ""


def test_reasons_are_counted_and_the_whole_list_is_kept(tmp_path):
    report = Report(tmp_path / "report.txt")
    failures = [failure(f"f{n}.dcm", "not DICOM") for n in range(3)]
    failures += [failure(f"g{n}.dcm", f"reason {n}") for n in range(20)]
    warnings = [
        {"inputFile": "w.dcm", "importResponse": {"warnings": [{"message": "differs from the first"}]}}
    ]
    report.read(job(tmp_path / "one", failures, warnings), {"imported": 1})
    report.read(job(tmp_path / "two", [failure("h.dcm", "not DICOM")]), {"imported": 2})
    text = report.text({"studies": 1})
    assert "left out: 24 files" in text
    assert "    4  not DICOM" in text
    assert "and 9 more reasons" in text
    assert "noted: 1 files" in text
    assert "3 files imported now" in text
    lines = (tmp_path / "report.txt").read_text().splitlines()
    assert len(lines) == 25
    assert "not DICOM\tf0.dcm" in lines
    assert "differs from the first\tw.dcm" in lines


def test_single_files_are_linked_under_names_of_their_own(tmp_path):
    sources = [tmp_path / "a" / "x.dcm", tmp_path / "b" / "x.dcm"]
    for number, path in enumerate(sources):
        path.parent.mkdir()
        path.write_text(str(number))
    folder = _linked(sources, tmp_path / "links")
    _linked(sources, tmp_path / "links")
    assert sorted(path.read_text() for path in folder.iterdir()) == ["0", "1"]


@pytest.mark.parametrize(
    ("progress", "shown"), [({"done": 3, "total": 9}, "3 of 9 files"), ({}, "0 of 0 files")]
)
def test_the_meter_closes_with_a_plain_line(capsys, progress, shown):
    meter = Meter()
    meter.show(progress)
    meter.finish(progress)
    assert shown in capsys.readouterr().out


def test_moments_of_no_offset_are_in_the_given_zone(tmp_path):
    dataset = pydicom.dcmread(get_testdata_file("CT_small.dcm", download=False))
    dataset.AcquisitionDateTime = "20240701120000"
    del dataset.TimezoneOffsetFromUTC
    (tmp_path / "in").mkdir()
    dataset.save_as(tmp_path / "in" / "ct.dcm")
    url = f"sqlite:///{tmp_path / 'index.sqlite'}"
    upgrade(url)
    zone = timezone(timedelta(hours=2))
    with running(tmp_path / "ahi", workers=1) as emulator:
        assert "1 instances" in Loader(emulator.url, "us-east-1", url, tmp_path, zone).run([tmp_path / "in"])
    engine = make_engine(url)
    assert search(engine, parse_query("instance", [("AcquisitionDateTime", "2024070110")])).rows
    engine.dispose()
