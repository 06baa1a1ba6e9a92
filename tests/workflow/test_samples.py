"""The built-in samples."""

import pydicom

from dicomweb_gateway.workflow.samples import sample_folders, write_synthetic_series


def test_the_series_is_complete_valid_and_the_same_each_time(tmp_path):
    for name in ("one", "two"):
        write_synthetic_series(tmp_path / name, slices=5, size=64)
    files = sorted((tmp_path / "one").iterdir())
    assert [path.name for path in files] == [f"{n:03d}.dcm" for n in range(1, 6)]
    assert [p.read_bytes() for p in files] == [p.read_bytes() for p in sorted((tmp_path / "two").iterdir())]
    slices = [pydicom.dcmread(path) for path in files]
    assert len({s.SOPInstanceUID for s in slices}) == 5
    assert len({s.SeriesInstanceUID for s in slices}) == 1
    assert [s.InstanceNumber for s in slices] == [1, 2, 3, 4, 5]
    assert slices[2].pixel_array.shape == (64, 64)
    # air outside, soft tissue inside
    assert slices[2].pixel_array[0, 0] < -900
    assert slices[2].pixel_array.max() > 500


def test_folders_are_made_once(tmp_path):
    folders = sample_folders(tmp_path)
    assert folders[0] == tmp_path / "synthetic-ct"
    written = {path: path.stat().st_mtime_ns for path in folders[0].iterdir()}
    assert len(written) == 60
    assert len(folders) == 3
    assert sample_folders(tmp_path) == folders
    assert {path: path.stat().st_mtime_ns for path in folders[0].iterdir()} == written
