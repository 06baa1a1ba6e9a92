from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.qido.attributes import ATTRIBUTES, REQUEST_ITEM_ATTRIBUTES, Matching

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
