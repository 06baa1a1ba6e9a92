"""Verification against the emulator: right frames, wrong ones, what is kept, and going on."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file

from dicomweb_gateway.errors import StorageUnavailable, UpstreamNotFound
from dicomweb_gateway.frames.config import FetcherConfig
from dicomweb_gateway.imagesets.healthimaging import HealthImaging
from dicomweb_gateway.imagesets.store import ImageSetRef
from dicomweb_gateway.workflow.steps import Progress
from dicomweb_gateway.workflow.verifying.checker import CheckerConfig
from dicomweb_gateway.workflow.verifying.run import verify
from dicomweb_gateway.workflow.verifying.work import Wanted
from tests.emulator.files import ROOT, ct_slice, pixels_of, save
from tests.emulator.running import instances_of, running

FILES = {
    "CT_small.dcm": 1,
    "MR_small_RLE.dcm": 1,
    "JPEG2000.dcm": 1,
    "SC_rgb_jpeg_dcmtk.dcm": 1,
    "liver_1frame.dcm": 1,
    "rtplan.dcm": 0,
    "examples_palette.dcm": 1,
    "examples_ybr_color.dcm": 30,
}
"""Files that pydicom brings along, and their frames: HTJ2K of several codings, kept ones, packed bits."""
SLICES = 5


class House:
    """An emulator with these files and a CT series in it, and verifications of them."""

    def __init__(self, emulator: Any, store: str, folder: Path) -> None:
        self.emulator, self.store, self.source = emulator, store, folder
        self.image_sets = HealthImaging(emulator.url, "us-east-1")
        self.fetching = FetcherConfig("", 0, 0, emulator.url, "us-east-1", fetches_in_flight=8)

    def refs(self) -> list[ImageSetRef]:
        return [ImageSetRef(self.store, row["imageSetId"]) for row in self.emulator.image_sets(self.store)]

    def verify(self, folder: Path | None = None, form: Any = None, **options: Any) -> Any:
        metadata = options.pop("metadata", self.image_sets.metadata)
        refs = options.pop("refs", None) or self.refs()
        options = {"processes": 0, **options}
        return verify(metadata, refs, CheckerConfig(self.fetching, folder, form), **options)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    folder = tmp_path_factory.mktemp("verify")
    source = folder / "in"
    for number in range(1, SLICES + 1):
        save(ct_slice(number), source / f"slice{number}.dcm")
    for name in FILES:
        shutil.copy(get_testdata_file(name, download=False), source / name)
    with running(folder, workers=1) as emulator:
        store = emulator.datastore()
        assert not emulator.load(store, source).failure
        made = House(emulator, store, source)
        yield made
        made.image_sets.close()


def test_every_frame_of_every_coding_is_right(house):
    told: list[Progress] = []
    report = house.verify(listener=told.append)
    assert report.is_fine, report.failures
    assert report.frames == sum(FILES.values()) + SLICES
    assert (report.image_sets, report.instances) == (len(FILES) + 1, len(FILES) + SLICES)
    assert told[-1].done == report.frames
    assert report.size > 100_000
    assert list(report.lines())[-1] == "all frames are right"
    assert json.loads(json.dumps(report.row()))["frames"] == report.frames


def test_processes_do_the_same(house):
    report = house.verify(processes=2)
    assert (report.frames, report.is_fine) == (sum(FILES.values()) + SLICES, True)


def test_one_series_or_study_is_enough(house):
    assert house.verify(wanted=Wanted(study_uid=f"{ROOT}.1")).frames == SLICES
    assert house.verify(wanted=Wanted(series_uid=f"{ROOT}.1.1")).frames == SLICES
    assert house.verify(wanted=Wanted(study_uid="1.2")).frames == 0


def changed(house: House, pattern: bytes, text: bytes) -> Any:
    """Metadata that is not what HealthImaging says."""
    return lambda ref: re.sub(pattern, text, house.image_sets.metadata(ref))


def test_frames_that_are_not_what_the_metadata_say_are_named(house):
    metadata = changed(house, rb'"Checksum":\d+', b'"Checksum":1')
    report = house.verify(metadata=metadata)
    assert not report.is_fine
    assert report.failed == report.frames == sum(FILES.values()) + SLICES
    assert {failure.reason for failure in report.failures} == {
        "the frame does not have the CRC-32 that its metadata states"
    }
    numbers = [f.frame_number for f in report.failures]
    assert (min(numbers), max(numbers)) == (1, 30)
    assert "WRONG  image set" in list(report.lines())[1]


def test_frames_that_come_cut_are_wrong_and_those_that_come_right_at_last_are_not(house):
    side = house.emulator.side
    side("PUT", "faults", json={"corrupt_rate": 1.0})
    try:
        report = house.verify(wanted=Wanted(series_uid=f"{ROOT}.1.1"))
        assert (report.failed, report.frames) == (SLICES, SLICES)
        side("PUT", "faults", json={"corrupt_rate": 0.1, "seed": 3})
        assert house.verify(wanted=Wanted(series_uid=f"{ROOT}.1.1")).is_fine
    finally:
        side("PUT", "faults", json={"corrupt_rate": 0.0})


def test_frames_without_a_checksum_are_counted(house):
    metadata = changed(house, rb'"PixelDataChecksumFromBaseToFullResolution"', b'"Other"')
    report = house.verify(metadata=metadata)
    assert (report.is_fine, report.unstated) == (True, report.frames)


def test_an_image_set_that_is_gone_does_not_end_the_rest(house):
    gone = ImageSetRef(house.store, "0" * 32)
    report = house.verify(refs=[gone, *house.refs()])
    assert (report.failed, report.frames) == (1, sum(FILES.values()) + SLICES)
    assert report.failures[0].image_set_id == "0" * 32


def test_frames_are_kept_as_they_came_and_a_second_run_fetches_none(house, tmp_path):
    out = tmp_path / "out"
    options = {"folder": out, "form": "jph", "journal": out / "journal"}
    first = house.verify(**options)
    kept = [path for path in out.rglob("*") if path.is_file() and path.name != "journal"]
    assert len(kept) == first.frames
    assert {path.suffix for path in kept} == {".jph", ".j2k", ".jpg", ".raw"}
    for ref in house.refs():
        document = house.emulator.document(house.store, ref.image_set_id)
        for uid, instance in instances_of(document).items():
            for number, frame in enumerate(instance["ImageFrames"], 1):
                [path] = out.glob(f"*/*/{ref.image_set_id}/{uid}/{number:06d}.*")
                frame_bytes = house.emulator.frame(house.store, ref.image_set_id, frame["ID"])
                assert path.read_bytes() == frame_bytes
    second = house.verify(**options)
    assert (second.frames, second.before, second.is_fine) == (0, first.frames, True)
    # what a crash leaves of a line counts for nothing
    journal = options["journal"]
    journal.write_text(journal.read_text()[:-10])
    assert house.verify(**options).frames > 0


def test_decoded_frames_are_the_pixels(house, tmp_path):
    house.verify(tmp_path, "raw", wanted=Wanted(series_uid=f"{ROOT}.1.1"))
    for number in range(1, SLICES + 1):
        [path] = tmp_path.glob(f"{ROOT}.1/{ROOT}.1.1/*/{ROOT}.1.1.{number}/000001.raw")
        assert path.read_bytes() == pixels_of(number).tobytes()


def test_instances_are_whole_files_with_the_same_pixels(house, tmp_path):
    report = house.verify(tmp_path, "dicom", journal=tmp_path / "journal")
    assert report.is_fine, report.failures
    written = {p.name: p for p in tmp_path.rglob("*.dcm")}
    sources = [pydicom.dcmread(path) for path in house.source.iterdir()]
    assert len(written) == len(sources) == report.instances
    for source in sources:
        found = pydicom.dcmread(written[f"{source.SOPInstanceUID}.dcm"])
        assert (found.StudyInstanceUID, found.SOPClassUID) == (source.StudyInstanceUID, source.SOPClassUID)
        if "PixelData" in source and found.file_meta.TransferSyntaxUID.is_encapsulated is False:
            assert np.array_equal(found.pixel_array, source.pixel_array)
        assert found.get("NumberOfFrames") == source.get("NumberOfFrames")
    assert not list(tmp_path.rglob("*.part"))
    again = house.verify(tmp_path, "dicom", journal=tmp_path / "journal")
    assert (again.frames, again.instances) == (0, 0)


def test_a_wrong_frame_leaves_no_file_of_its_instance(house, tmp_path):
    metadata = changed(house, rb'"Checksum":\d+', b'"Checksum":1')
    side = house.emulator.side
    side("PUT", "faults", json={"corrupt_rate": 1.0})
    try:
        report = house.verify(tmp_path, "dicom", wanted=Wanted(series_uid=f"{ROOT}.1.1"), metadata=metadata)
    finally:
        side("PUT", "faults", json={"corrupt_rate": 0.0})
    assert report.failed == SLICES
    assert not list(tmp_path.rglob("*.dcm"))


def test_uids_that_are_paths_lead_nowhere(house, tmp_path):
    wrong = f"{ROOT}.1.1".encode()
    metadata = changed(house, b'"' + re.escape(wrong) + rb'":', b'"../../../escaped":')
    out = tmp_path / "a" / "b" / "out"
    report = house.verify(out, "jph", metadata=metadata, wanted=Wanted(study_uid=f"{ROOT}.1"))
    assert report.frames == SLICES
    assert len(list(out.rglob("*.jph"))) == SLICES
    assert [path for path in tmp_path.rglob("*") if path.is_file() and out not in path.parents] == []


def test_a_folder_that_takes_nothing_ends_the_run(house, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageUnavailable, match="cannot be kept"):
        house.verify(tmp_path / "file", "jph")


def test_a_list_that_cannot_be_read_is_no_success(house):
    def refs():
        yield house.refs()[0]
        raise UpstreamNotFound("there is no such data store")

    with pytest.raises(UpstreamNotFound):
        house.verify(refs=refs())


@pytest.mark.parametrize("form", ["jph", "raw", "dicom"])
def test_what_was_taken_away_is_fetched_again(house, tmp_path, form):
    journal = tmp_path / "journal"
    refs = house.refs()[:2]
    house.verify(tmp_path / "out", form, refs=refs, journal=journal)
    files = sorted(path for path in (tmp_path / "out").rglob("*") if path.is_file())
    files[0].unlink()
    report = house.verify(tmp_path / "out", form, refs=refs, journal=journal)
    assert report.frames == 1
    assert files[0].is_file()
