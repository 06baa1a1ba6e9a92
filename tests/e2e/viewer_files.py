"""What a viewer opens in the tests: of the corpus where it lies here, else of pydicom and made."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    DigitalMammographyXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    SegmentationStorage,
)

from dicomweb_gateway.workflow.samples import write_synthetic_series

ROOT = "1.2.826.0.1.3680043.10.1443.88"
HOSTILE = f"{ROOT}.9"
"""Root of the UIDs of `write_hostile_names`."""


def write_viewer_files(folder: Path, corpus: Path | None) -> None:
    """Below `folder`: `ct`, `us` (colour, several frames), `mg`, and `seg` with the series it lies on."""
    for name in ("ct", "us", "mg", "seg"):
        (folder / name).mkdir(parents=True)
    if corpus is None:
        _write_made(folder)
        return
    _link(corpus.glob("series-ct-philips-phantom-28/*.dcm"), folder / "ct")
    _link([corpus / "us" / "us-cine-30f-jpeg-ybr422.dcm"], folder / "us")
    _link(corpus.glob("ct/ct-implicit-jan-*.dcm"), folder / "seg")
    _link([corpus / "seg" / "seg-liver-binary-3f.dcm"], folder / "seg")
    mammogram = dcmread(corpus / "mg" / "mg-voilut-multiwindow-lossless-sv1.dcm")
    # OHIF 3.13 knows no VOI LUT Function SIGMOID and draws nothing at all
    del mammogram.VOILUTFunction
    mammogram.save_as(folder / "mg" / "mg.dcm")


def _write_made(folder: Path) -> None:
    write_synthetic_series(folder / "ct", slices=12)
    source = get_testdata_file("examples_ybr_color.dcm", download=False)
    if source is not None:
        _link([Path(source)], folder / "us")
    write_synthetic_series(folder / "seg", slices=3, root=f"{ROOT}.1")
    _mammogram(dcmread(folder / "ct" / "006.dcm")).save_as(folder / "mg" / "mg.dcm", enforce_file_format=True)
    slices = [dcmread(path) for path in sorted((folder / "seg").glob("*.dcm"))]
    segmentation(slices).save_as(folder / "seg" / "seg.dcm", enforce_file_format=True)


def _link(files: Iterable[Path], folder: Path) -> None:
    for file in files:
        (folder / file.name).symlink_to(file)


def encapsulated_pdf(document: bytes) -> Dataset:
    """A PDF document as an instance of a study of its own."""
    dataset = _new("1.2.840.10008.5.1.4.1.1.104.1", f"{ROOT}.2.3")
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"{ROOT}.2.1", f"{ROOT}.2.2"
    dataset.PatientName, dataset.PatientID, dataset.Modality = "PAPER^PETER", "PDF-1", "DOC"
    dataset.StudyDate, dataset.StudyTime = "20240312", "101500"
    dataset.SeriesNumber, dataset.InstanceNumber = 1, 1
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    dataset.EncapsulatedDocument = document
    return dataset


def write_hostile_names(source: Path, target: Path) -> None:
    """The image `source` as a study of its own whose texts are scripts to a page that takes them for HTML."""
    dataset = dcmread(source)
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"{HOSTILE}.1", f"{HOSTILE}.2"
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"{HOSTILE}.3"
    dataset.PatientName, dataset.PatientID = "<script>alert(1)</script>", '"><svg onload=alert(2)>'
    dataset.StudyDescription, dataset.SeriesDescription = (
        "</td><script>alert(3)</script>",
        "<b onmouseover=alert(4)>x</b>",
    )
    dataset.save_as(target)


def _mammogram(image: Dataset) -> Dataset:
    """The same picture as a mammogram: unsigned, no geometry."""
    made = _new(DigitalMammographyXRayImageStorageForPresentation, f"{ROOT}.3.3")
    made.StudyInstanceUID, made.SeriesInstanceUID = f"{ROOT}.3.1", f"{ROOT}.3.2"
    made.PatientName, made.PatientID, made.Modality = "SYNTHETIC^MG", "SYNTH-MG", "MG"
    made.StudyDate, made.StudyTime = "20240313", "101500"
    made.SeriesNumber, made.InstanceNumber = 1, 1
    made.ViewPosition, made.ImageLaterality, made.PresentationIntentType = "CC", "L", "FOR PRESENTATION"
    _describe_pixels(made, image, bits=12)
    made.WindowCenter, made.WindowWidth = 2048, 4096
    low = image.pixel_array - image.pixel_array.min()
    made.PixelData = (low * (4095 / low.max())).astype("<u2").tobytes()
    return made


def segmentation(slices: list[Dataset]) -> Dataset:
    """A binary segmentation of one segment, a square in the middle of each of the slices."""
    first = slices[0]
    made = _new(SegmentationStorage, f"{first.StudyInstanceUID}.3")
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientName", "PatientID"):
        setattr(made, keyword, first.get(keyword))
    made.StudyDate, made.StudyTime, made.StudyID = first.StudyDate, first.StudyTime, first.StudyID
    made.AccessionNumber, made.StudyDescription = first.AccessionNumber, first.StudyDescription
    made.SeriesInstanceUID, made.Modality = f"{first.StudyInstanceUID}.2", "SEG"
    made.SeriesNumber, made.InstanceNumber, made.SeriesDescription = 2, 1, "square"
    made.ImageType = ["DERIVED", "PRIMARY"]
    made.ContentLabel, made.ContentDescription, made.ContentCreatorName = "SQUARE", "", ""
    made.SegmentationType, made.SegmentSequence = "BINARY", [_segment()]
    _describe_pixels(made, first, bits=1)
    made.LossyImageCompression = "00"
    _add_references(made, slices)
    mask = np.zeros((len(slices), first.Rows, first.Columns), bool)
    mask[:, first.Rows // 4 : first.Rows // 2, first.Columns // 4 : first.Columns // 2] = True
    made.PixelData = np.packbits(mask.ravel(), bitorder="little").tobytes()
    return made


def _segment() -> Dataset:
    code = _item(CodeValue="85756007", CodingSchemeDesignator="SCT", CodeMeaning="Tissue")
    return _item(
        SegmentNumber=1,
        SegmentLabel="square",
        SegmentAlgorithmType="MANUAL",
        SegmentedPropertyCategoryCodeSequence=[code],
        SegmentedPropertyTypeCodeSequence=[code],
    )


def _add_references(made: Dataset, slices: list[Dataset]) -> None:
    first = slices[0]
    references = [
        _item(ReferencedSOPClassUID=one.SOPClassUID, ReferencedSOPInstanceUID=one.SOPInstanceUID)
        for one in slices
    ]
    made.ReferencedSeriesSequence = [
        _item(SeriesInstanceUID=first.SeriesInstanceUID, ReferencedInstanceSequence=references)
    ]
    organisation = f"{made.SOPInstanceUID}.1"
    made.DimensionOrganizationSequence = [_item(DimensionOrganizationUID=organisation)]
    made.DimensionIndexSequence = [
        _item(
            DimensionOrganizationUID=organisation,
            DimensionIndexPointer=0x00200032,
            FunctionalGroupPointer=0x00209113,
        )
    ]
    made.NumberOfFrames = len(slices)
    made.SharedFunctionalGroupsSequence = [
        _item(
            SegmentIdentificationSequence=[_item(ReferencedSegmentNumber=1)],
            PlaneOrientationSequence=[_item(ImageOrientationPatient=first.ImageOrientationPatient)],
            PixelMeasuresSequence=[
                _item(PixelSpacing=first.PixelSpacing, SliceThickness=first.SliceThickness)
            ],
        )
    ]
    made.PerFrameFunctionalGroupsSequence = [
        _item(
            DerivationImageSequence=[_item(SourceImageSequence=[reference])],
            FrameContentSequence=[_item(DimensionIndexValues=[number])],
            PlanePositionSequence=[_item(ImagePositionPatient=one.ImagePositionPatient)],
        )
        for number, (one, reference) in enumerate(zip(slices, references, strict=True), 1)
    ]


def _describe_pixels(made: Dataset, image: Dataset, bits: int) -> None:
    made.Rows, made.Columns = image.Rows, image.Columns
    made.SamplesPerPixel, made.PhotometricInterpretation, made.PixelRepresentation = 1, "MONOCHROME2", 0
    made.BitsAllocated, made.BitsStored, made.HighBit = 1 if bits == 1 else 16, bits, bits - 1


def _new(sop_class: str, uid: str) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = sop_class
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = uid
    return dataset


def _item(**attributes: object) -> Dataset:
    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item
