"""Files told apart by their content, as parts of STOW-RS are: instances, damaged ones, and other files."""

import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import ImplicitVRLittleEndian

from dicomweb_gateway.dicom.spool_space import SpoolSpace
from dicomweb_gateway.errors import NotDicom, UnreadableDicom
from dicomweb_gateway.workflow.importing import checking
from tests.emulator.files import ROOT, ct_slice, save


def check_file(path):
    return checking.check_file(path, SpoolSpace())


@pytest.mark.parametrize(
    "name",
    [
        "CT_small.dcm",
        "MR_small_bigendian.dcm",
        "JPEG2000.dcm",
        "image_dfl.dcm",
        "rtplan.dcm",
        "ExplVR_BigEndNoMeta.dcm",
    ],
)
def test_instances_of_all_kinds_are_named(name):
    found = check_file(get_testdata_file(name, download=False))
    assert all(part.startswith("1.") for part in (found.study_uid, found.series_uid, found.instance_uid))


def test_the_name_of_a_file_means_nothing(tmp_path):
    assert check_file(save(ct_slice(4), tmp_path / "readme.txt")).instance_uid == f"{ROOT}.1.1.4"


@pytest.mark.parametrize("data", [b"", b"GIF89a" * 40, b"\0" * 200, b"# a text\n" * 30])
def test_other_files_are_not_called_damaged(tmp_path, data):
    (tmp_path / "a.dcm").write_bytes(data)
    with pytest.raises(NotDicom):
        check_file(tmp_path / "a.dcm")


def test_a_dicomdir_is_no_instance():
    with pytest.raises(NotDicom, match="DICOMDIR"):
        check_file(get_testdata_file("DICOMDIR", download=False))


def test_every_cut_is_seen(tmp_path):
    whole = save(ct_slice(1), tmp_path / "whole.dcm").read_bytes()
    cut = tmp_path / "cut.dcm"
    for length in (140, 400, len(whole) - 8192, len(whole) - 1):
        cut.write_bytes(whole[:length])
        with pytest.raises(UnreadableDicom):
            check_file(cut)
    cut.write_bytes(whole)
    check_file(cut)


def test_a_cut_is_seen_in_implicit_vr_too(tmp_path):
    dataset = ct_slice(1)
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    path = save(dataset, tmp_path / "implicit.dcm")
    check_file(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UnreadableDicom, match=r"ends inside element \(7FE0,0010\)"):
        check_file(path)


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID"])
@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_uids_must_be_there_and_be_some(tmp_path, keyword):
    for value, reason in ((None, "missing"), ("1..2", "not a valid UID"), ("../../etc", "not a valid UID")):
        with pytest.raises(UnreadableDicom, match=f"{keyword} is {reason}"):
            check_file(save(ct_slice(1, **{keyword: value}), tmp_path / "a.dcm"))


def test_a_folder_and_a_missing_file_are_unreadable(tmp_path):
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(UnreadableDicom, match="cannot be read"):
            check_file(path)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"Rows": 65}, "shorter than"),
        ({"PixelData": None}, "no pixel data"),
        ({"SOPClassUID": None}, "SOPClassUID is missing"),
        ({"PatientID": "x" * 257}, "over 256 characters"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_what_storing_refuses_an_import_does(tmp_path, changes, reason):
    dataset = ct_slice(1, **changes)
    dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    with pytest.raises(UnreadableDicom, match=reason):
        check_file(save(dataset, tmp_path / "a.dcm"))
