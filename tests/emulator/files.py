"""Small DICOM files, made for tests."""

from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

ROOT = "1.2.826.0.1.3680043.10.1443.77"
CT = "1.2.840.10008.5.1.4.1.1.2"


def ct_slice(number: int = 1, series: int = 1, study: int = 1, size: int = 64, **attributes: Any) -> Dataset:
    """A CT slice whose pixels depend on its number; `attributes` replace or add, None deletes."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = CT
    dataset.SOPClassUID = CT
    dataset.StudyInstanceUID = f"{ROOT}.{study}"
    dataset.SeriesInstanceUID = f"{ROOT}.{study}.{series}"
    dataset.SOPInstanceUID = f"{ROOT}.{study}.{series}.{number}"
    dataset.PatientID, dataset.PatientName = "P-1", "Doe^Jane"
    dataset.StudyDate, dataset.StudyTime, dataset.StudyID = "20240311", "101500", "7"
    dataset.AccessionNumber, dataset.Modality = "A-1", "CT"
    dataset.SeriesNumber, dataset.InstanceNumber = series, number
    dataset.Rows = dataset.Columns = size
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
    dataset.PixelData = pixels_of(number, size).tobytes()
    for keyword, value in attributes.items():
        if value is None:
            del dataset[keyword]
        else:
            setattr(dataset, keyword, value)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", "1.2")
    return dataset


def pixels_of(number: int, size: int = 64) -> np.ndarray:
    row, column = np.indices((size, size))
    return (row * 13 + column * 7 - 500 + number).astype("<i2")


def save(dataset: Dataset, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path
