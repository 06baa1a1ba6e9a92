import pytest

from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.qido.attributes import (
    ATTRIBUTES,
    REQUEST_ITEM_ATTRIBUTES,
    Matching,
    item_attribute,
    items_are_held,
    stored_attribute,
)

REQUIRED = {
    "study": "StudyDate StudyTime AccessionNumber ModalitiesInStudy ReferringPhysicianName PatientName "
    "PatientID StudyInstanceUID StudyID StudyDescription PatientBirthDate PatientSex IssuerOfPatientID",
    "series": "Modality SeriesInstanceUID SeriesNumber PerformedProcedureStepStartDate "
    "PerformedProcedureStepStartTime SeriesDescription SeriesDate BodyPartExamined "
    "Manufacturer ManufacturerModelName",
    "instance": "SOPClassUID SOPInstanceUID InstanceNumber NumberOfFrames Rows Columns ContentDate",
}


def test_the_minimum_keys_are_there():
    """dicomweb.md Q-7 to Q-9."""
    for level, keywords in REQUIRED.items():
        have = {row.keyword for row in ATTRIBUTES.values() if row.level == level}
        assert set(keywords.split()) <= have


def test_every_attribute_has_its_column():
    tables = {"study": side.gateway_study, "series": side.gateway_series, "instance": side.gateway_instance}
    for row in ATTRIBUTES.values():
        if row.matching not in (Matching.NAME, Matching.MODALITIES):
            assert row.column in tables[row.level].c
    for row in REQUEST_ITEM_ATTRIBUTES.values():
        assert row.column in side.gateway_request.c


@pytest.mark.parametrize(
    ("tag", "keyword", "level", "matching"),
    [
        (0x00101030, "PatientWeight", "study", Matching.DECIMAL),
        (0x00104000, "PatientComments", "study", Matching.TEXT),
        (0x00101010, "PatientAge", "study", Matching.EXACT),
        (0x00200052, "FrameOfReferenceUID", "series", Matching.UID),
        (0x00081050, "PerformingPhysicianName", "series", Matching.NAME),
        (0x00280120, "PixelPaddingValue", "series", Matching.NUMBER),
        (0x00080008, "ImageType", "instance", Matching.TEXT),
        (0x00080012, "InstanceCreationDate", "instance", Matching.DATE),
        (0x00080033, "ContentTime", "instance", Matching.TIME),
        (0x00189074, "FrameAcquisitionDateTime", "instance", Matching.MOMENT),
        (0x00280009, "FrameIncrementPointer", "instance", Matching.TAG),
        (0x60020010, "OverlayRows", "instance", Matching.NUMBER),
        (0x0032000A, "StudyStatusID", "instance", Matching.TEXT),
    ],
)
def test_attributes_that_only_the_dicom_json_holds(tag, keyword, level, matching):
    found = stored_attribute(tag)
    assert (found.tag, found.keyword, found.level, found.matching) == (tag, keyword, level, matching)
    assert found.column is None
    with pytest.raises(LookupError, match=keyword):
        assert found.own_column


@pytest.mark.parametrize(
    "tag",
    [
        *(0x00100020, 0x00080061),  # of the table
        *(0x00091001, 0x00090010, 0xDEADBEEF, 0x00080003),  # private or unknown
        *(0x00020010, 0x00000110, 0x00041500, 0xFFFEE000),  # of no data set
        *(0x00080000, 0x00100000),  # group lengths
        *(0x00400275, 0x7FE00010, 0x54001010, 0x00283006, 0x00281201),  # sequence, bulk data
        *(0x00080005, 0x00080052, 0x00080056, 0x00080062, 0x00081190, 0x00083002, 0x00201200),  # computed
    ],
)
def test_attributes_that_cannot_be_matched(tag):
    assert stored_attribute(tag) is None


def test_items_have_attributes_of_their_own():
    """What is computed above may be said of other objects in an item; the character set never is a key."""
    assert item_attribute(0x00080060, "study").column is None
    assert item_attribute(0x00081190, "series").level == "series"
    assert item_attribute(0x00080005, "series") is None
    assert items_are_held(0x00081032)
    assert not items_are_held(0x52009230)
    assert not items_are_held(0x00100020)
