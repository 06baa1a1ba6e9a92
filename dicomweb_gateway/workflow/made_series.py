"""Synthetic series that look like what they stand for, the same bytes at every start."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    UltrasoundMultiFrameImageStorage,
)

ROOT = "1.2.826.0.1.3680043.10.1443.77"
"""Below it lie the UIDs of all made series."""

CINE_FRAMES = 48
_MR_CONTRASTS = {"T1": (600, 15), "T2": (4000, 90)}
_CINE_SIZE = (240, 320)


def new_instance(
    sop_class_uid: str, root: str, number: int, series: int = 1, kind: str = "CT", accession: str = "SYN-1"
) -> Dataset:
    """An instance of a made study with its names and its patient, as yet without a picture."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = UID(sop_class_uid)
    dataset.SOPClassUID = sop_class_uid
    branch = "3" if series == 1 else f"3.{series}"
    dataset.SOPInstanceUID = UID(f"{root}.{branch}.{number}")
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.StudyInstanceUID = f"{root}.1"
    dataset.SeriesInstanceUID = f"{root}.2" if series == 1 else f"{root}.2.{series}"
    dataset.PatientName, dataset.PatientID = (
        f"SYNTHETIC^{kind}",
        "SYNTH-0001" if kind == "CT" else f"SYNTH-{kind}",
    )
    dataset.PatientBirthDate, dataset.PatientSex = "19700131", "O"
    dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = "20240311"
    dataset.StudyTime = dataset.SeriesTime = dataset.ContentTime = "101500"
    dataset.AccessionNumber, dataset.StudyID, dataset.ReferringPhysicianName = accession, "1", "ROE^RICHARD"
    dataset.Modality, dataset.Manufacturer = kind, "dicomweb-gateway"
    dataset.SeriesNumber, dataset.InstanceNumber = series, number
    return dataset


def save(dataset: Dataset, path: Path) -> None:
    """Write a file beside and rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part")
    dataset.save_as(beside, enforce_file_format=True)
    beside.rename(path)


def write_ct(folder: Path, slices: int, size: int, root: str) -> None:
    """An axial CT series of a body with lungs, spine and a growing nodule, in Hounsfield units.

    `slices` files of `size` x `size` signed 16-bit pixels, 2.5 mm apart.
    """
    noise = np.random.default_rng(20240311)
    for number in range(1, slices + 1):
        dataset = new_instance(CTImageStorage, root, number)
        dataset.FrameOfReferenceUID = f"{root}.4"
        dataset.StudyDescription, dataset.SeriesDescription = "SYNTHETIC CHEST", "AX 2.5mm synthetic"
        dataset.BodyPartExamined = "CHEST"
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        dataset.PatientPosition = "HFS"
        _place(dataset, 320, size, 2.5, -2.5 * number)
        _grey(dataset, size, stored=16, signed=True)
        dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = 1, 0, "HU"
        dataset.WindowCenter, dataset.WindowWidth = [40, -600], [400, 1500]
        pixels = _chest(number / slices, size) + noise.normal(0, 12, (size, size))
        dataset.PixelData = np.round(pixels).astype("<i2").tobytes()
        save(dataset, folder / f"{number:03d}.dcm")


def write_mr(folder: Path, slices: int, size: int, root: str) -> None:
    """An axial MR study of a head with one series for each contrast; 12 bits stored, unsigned."""
    noise = np.random.default_rng(20240312)
    for series, (contrast, (repetition, echo)) in enumerate(_MR_CONTRASTS.items(), 1):
        for number in range(1, slices + 1):
            dataset = new_instance(MRImageStorage, root, number, series, "MR", "SYN-2")
            dataset.FrameOfReferenceUID = f"{root}.4"
            dataset.StudyDescription = "SYNTHETIC HEAD"
            dataset.SeriesDescription = dataset.ProtocolName = f"AX {contrast}"
            dataset.BodyPartExamined = "HEAD"
            dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "SE"]
            dataset.ScanningSequence, dataset.SequenceVariant, dataset.ScanOptions = "SE", "NONE", ""
            dataset.MRAcquisitionType, dataset.EchoTrainLength = "2D", 1
            dataset.RepetitionTime, dataset.EchoTime, dataset.MagneticFieldStrength = repetition, echo, 1.5
            dataset.PatientPosition = "HFS"
            _place(dataset, 240, size, 4, 4.0 * number)
            _grey(dataset, size, stored=12, signed=False)
            dataset.WindowCenter, dataset.WindowWidth = 700, 1400
            pixels = _head(number / slices, size, contrast) + noise.normal(0, 10, (size, size))
            dataset.PixelData = np.clip(np.round(pixels), 0, 4095).astype("<u2").tobytes()
            save(dataset, folder / f"{contrast}-{number:03d}.dcm")


def write_cine(folder: Path, frames: int, root: str) -> None:
    """An ultrasound loop of a beating heart with coloured flow: one instance of `frames` RGB frames."""
    dataset = new_instance(UltrasoundMultiFrameImageStorage, root, 1, 1, "US", "SYN-3")
    dataset.StudyDescription, dataset.SeriesDescription = "SYNTHETIC ECHO", "4CH colour flow"
    dataset.BodyPartExamined, dataset.ImageType = "HEART", ["ORIGINAL", "PRIMARY", "", "0001"]
    rows, columns = _CINE_SIZE
    dataset.Rows, dataset.Columns, dataset.NumberOfFrames = rows, columns, frames
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.FrameTime, dataset.CineRate, dataset.RecommendedDisplayFrameRate = "40", 25, 25
    dataset.FrameIncrementPointer = 0x00181063
    dataset.LossyImageCompression = "00"
    dataset.PixelData = b"".join(frame.tobytes() for frame in _beats(frames, rows, columns))
    save(dataset, folder / "cine.dcm")


def _place(dataset: Dataset, field: float, size: int, thickness: float, height: float) -> None:
    """Geometry of an axial slice; `field`, `thickness` and `height` in mm."""
    dataset.ImagePositionPatient = [-field / 2, -field / 2, height]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing = [field / size, field / size]
    dataset.SliceThickness, dataset.SliceLocation = thickness, height


def _grey(dataset: Dataset, size: int, stored: int, signed: bool) -> None:
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows = dataset.Columns = size
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, stored, stored - 1
    dataset.PixelRepresentation = int(signed)


class _Canvas:
    """A square of floats from -1 to 1 in both directions, in which ellipses are filled."""

    def __init__(self, size: int, background: float) -> None:
        self._y, self._x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
        self.image = np.full((size, size), background)

    def fill(self, cx: float, cy: float, rx: float, ry: float, value: float) -> None:
        self.image[((self._x - cx) / rx) ** 2 + ((self._y - cy) / ry) ** 2 < 1] = value


def _chest(height: float, size: int) -> np.ndarray:
    """One slice in Hounsfield units, (size, size) float; `height` runs from 0 to 1 through the body."""
    canvas = _Canvas(size, -1000.0)
    swell = np.sin(np.pi * (0.15 + 0.7 * height))
    canvas.fill(0, 0, 0.9, 0.65, 40)
    canvas.fill(0, 0, 0.84, 0.59, 55)
    canvas.fill(-0.42, -0.02, 0.33 * swell, 0.45 * swell, -850)
    canvas.fill(0.42, -0.02, 0.33 * swell, 0.45 * swell, -850)
    canvas.fill(0.08, -0.05, 0.2 * swell, 0.25 * swell, 130)
    canvas.fill(0, 0.43, 0.13, 0.13, 700)
    nodule = max(0.01, 0.09 * np.sin(np.pi * height))
    canvas.fill(-0.45, -0.1, nodule, nodule, 60)
    return canvas.image


def _head(height: float, size: int, contrast: str) -> np.ndarray:
    """One slice, (size, size) float; water is bright in T2 and dark in T1."""
    fat, tissue, water = (900, 500, 120) if contrast == "T1" else (650, 420, 1300)
    canvas = _Canvas(size, 20.0)
    swell = np.sin(np.pi * (0.2 + 0.6 * height))
    canvas.fill(0, 0, 0.75 * swell, 0.9 * swell, fat)
    canvas.fill(0, 0, 0.7 * swell, 0.85 * swell, 40)
    canvas.fill(0, 0, 0.64 * swell, 0.79 * swell, tissue)
    for side in (-1, 1):
        canvas.fill(side * 0.14, -0.05, 0.09 * swell, 0.3 * swell, water)
    canvas.fill(0.3, 0.25, 0.12 * height, 0.1 * height, water * 0.8)
    return canvas.image


def _beats(frames: int, rows: int, columns: int) -> Iterator[np.ndarray]:
    """(rows, columns, 3) uint8 each: a sector with two chambers, and flow that turns from red to blue."""
    y, x = np.mgrid[0 : 1 : rows * 1j, -0.667 : 0.667 : columns * 1j]
    speckle = np.random.default_rng(20240313).normal(0, 18, (rows, columns))
    sector = (np.abs(np.arctan2(x, y + 1e-6)) < 0.7) & (np.hypot(x, y) < 0.98)
    for number in range(frames):
        phase = 2 * np.pi * number / 24
        beat = 1 + 0.18 * np.sin(phase)
        grey = np.where(sector, 95 + speckle, 0)
        for side in (-0.13, 0.13):
            chamber = ((x - side) / (0.11 * beat)) ** 2 + ((y - 0.55) / (0.2 * beat)) ** 2 < 1
            grey = np.where(chamber & sector, 18 + speckle / 3, grey)
        picture = np.repeat(np.clip(grey, 0, 255)[..., None], 3, axis=2)
        flow = (np.abs(x + 0.13) < 0.05) & (np.abs(y - 0.55) < 0.22)
        strength = 80 + 150 * abs(np.sin(phase))
        picture[flow] = (strength, 30, 20) if np.sin(phase) > 0 else (20, 40, strength)
        yield np.round(picture).astype("u1")
