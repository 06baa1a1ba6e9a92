"""The built-in samples."""

import pydicom
import pytest

from dicomweb_gateway.cli_common import SAMPLE_NAMES
from dicomweb_gateway.dicom.spool_space import SpoolSpace
from dicomweb_gateway.workflow.importing.checking import check_file
from dicomweb_gateway.workflow.made_series import write_cine, write_mr
from dicomweb_gateway.workflow.samples import SAMPLE_SETS, sample_folders, write_synthetic_series

ROOT = "1.2.826.0.1.3680043.10.1443.78"


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


def test_the_command_line_knows_every_set():
    assert tuple(SAMPLE_SETS) == SAMPLE_NAMES


@pytest.mark.parametrize("name", ["ct-small", "mr", "colour-cine"])
def test_a_set_is_what_it_says(tmp_path, name):
    [folder] = sample_folders(tmp_path, [name])
    files = sorted(folder.glob("*.dcm"))
    assert len(files) == SAMPLE_SETS[name].files
    assert len({check_file(path, SpoolSpace()).instance_uid for path in files}) == len(files)
    assert len({check_file(path, SpoolSpace()).study_uid for path in files}) == 1


def test_sets_are_studies_of_their_own(tmp_path):
    folders = sample_folders(tmp_path, ["ct-small", "ct", "mr", "colour-cine"])
    assert len({check_file(next(folder.glob("*.dcm")), SpoolSpace()).study_uid for folder in folders}) == 4


def test_the_mr_has_two_contrasts_of_twelve_bits(tmp_path):
    write_mr(tmp_path, slices=2, size=64, root=ROOT)
    slices = [pydicom.dcmread(path) for path in sorted(tmp_path.iterdir())]
    assert [(s.SeriesNumber, s.InstanceNumber) for s in slices] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert {(s.BitsStored, s.PixelRepresentation) for s in slices} == {(12, 0)}
    assert all(300 < s.pixel_array.max() < 4096 for s in slices)
    # cerebrospinal fluid: dark in one, bright in the other
    [dark, bright] = [s.pixel_array[30, 36] for s in slices[::2]]
    assert bright > 3 * dark


def test_the_cine_moves_and_has_colours(tmp_path):
    write_cine(tmp_path, frames=12, root=ROOT)
    frames = pydicom.dcmread(tmp_path / "cine.dcm").pixel_array
    assert frames.shape == (12, 240, 320, 3)
    assert (frames[0] != frames[6]).any()
    assert (frames[..., 0].astype(int) - frames[..., 2]).max() > 50
