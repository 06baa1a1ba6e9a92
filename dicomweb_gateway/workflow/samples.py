"""DICOM to look at without any of one's own: pydicom's bundled files and a synthetic CT series."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

SLICES = 60
_SIZE = 256
_ROOT = "1.2.826.0.1.3680043.10.1443.77"
"""Below it lie the UIDs of the synthetic series, the same at every start."""


def sample_folders(folder: Path) -> list[Path]:
    """Folders to import; the synthetic series is written to `folder` when it is not there yet."""
    synthetic = folder / "synthetic-ct"
    if len(list(synthetic.glob("*.dcm"))) < SLICES:
        write_synthetic_series(synthetic)
    spec = find_spec("pydicom")
    bundled = Path(spec.origin).parent / "data" if spec and spec.origin else None
    names = ("test_files", "charset_files")
    return [synthetic, *(bundled / name for name in names if bundled and (bundled / name).is_dir())]


def write_synthetic_series(folder: Path, slices: int = SLICES, size: int = _SIZE, root: str = _ROOT) -> None:
    """An axial CT series of a body with lungs, spine and a growing nodule, in Hounsfield units.

    `slices` files of `size` x `size` signed 16-bit pixels, 2.5 mm apart, written beside and renamed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(20240311)
    for number in range(1, slices + 1):
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
        dataset.SOPClassUID = CTImageStorage
        dataset.SOPInstanceUID = f"{root}.3.{number}"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"{root}.1", f"{root}.2"
        dataset.FrameOfReferenceUID = f"{root}.4"
        dataset.PatientName, dataset.PatientID = "SYNTHETIC^CT", "SYNTH-0001"
        dataset.PatientBirthDate, dataset.PatientSex = "19700131", "O"
        dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = "20240311"
        dataset.StudyTime = dataset.SeriesTime = dataset.ContentTime = "101500"
        dataset.AccessionNumber, dataset.StudyID, dataset.ReferringPhysicianName = "SYN-1", "1", "ROE^RICHARD"
        dataset.StudyDescription, dataset.SeriesDescription = "SYNTHETIC CHEST", "AX 2.5mm synthetic"
        dataset.Modality, dataset.Manufacturer, dataset.BodyPartExamined = "CT", "dicomweb-gateway", "CHEST"
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        dataset.SeriesNumber, dataset.InstanceNumber = 1, number
        dataset.PatientPosition = "HFS"
        dataset.ImagePositionPatient = [-160.0, -160.0, -2.5 * number]
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        dataset.PixelSpacing = [320 / size, 320 / size]
        dataset.SliceThickness, dataset.SliceLocation = 2.5, -2.5 * number
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.Rows = dataset.Columns = size
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
        dataset.PixelRepresentation = 1
        dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = 1, 0, "HU"
        dataset.WindowCenter, dataset.WindowWidth = [40, -600], [400, 1500]
        pixels = _slice(number / slices, size) + noise.normal(0, 12, (size, size))
        dataset.PixelData = np.round(pixels).astype("<i2").tobytes()
        beside = folder / f"{number:03d}.part"
        dataset.save_as(beside, enforce_file_format=True)
        beside.rename(folder / f"{number:03d}.dcm")


def _slice(height: float, size: int) -> np.ndarray:
    """One slice in Hounsfield units, (size, size) float; `height` runs from 0 to 1 through the body."""
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    image = np.full((size, size), -1000.0)

    def fill(cx: float, cy: float, rx: float, ry: float, value: float) -> None:
        image[((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1] = value

    swell = np.sin(np.pi * (0.15 + 0.7 * height))
    fill(0, 0, 0.9, 0.65, 40)
    fill(0, 0, 0.84, 0.59, 55)
    fill(-0.42, -0.02, 0.33 * swell, 0.45 * swell, -850)
    fill(0.42, -0.02, 0.33 * swell, 0.45 * swell, -850)
    fill(0.08, -0.05, 0.2 * swell, 0.25 * swell, 130)
    fill(0, 0.43, 0.13, 0.13, 700)
    nodule = max(0.01, 0.09 * np.sin(np.pi * height))
    fill(-0.45, -0.1, nodule, nodule, 60)
    return image
