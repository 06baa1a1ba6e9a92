"""Five studies of all kinds in an index, and how they are asked for."""

from dicomweb_gateway.index.indexer import index_image_set
from dicomweb_gateway.qido.parse import parse_query
from tests.index.documents import document, instance
from tests.index.searching import search

STUDIES = {
    # study: patient, study, [(modality, series tags)]
    "1.1": (
        {"PatientID": "A1", "PatientName": "Doe^John^^Dr", "PatientSex": "M", "PatientBirthDate": "19700131"},
        {
            "StudyDate": "20240101",
            "StudyTime": "103000",
            "AccessionNumber": "ACC-1",
            "StudyDescription": "CT chest",
        },
        [("CT", {"SeriesNumber": "2"}), ("SR", {"SeriesNumber": "10"})],
    ),
    "1.2": (
        {"PatientID": "a1", "PatientName": "Doe", "PatientSex": "F"},
        {"StudyDate": "20240102", "StudyTime": "103059.999999", "StudyDescription": "100% x_y [z] A!B\\C"},
        [("MR", {"SeriesNumber": None}), ("MR", {"SeriesNumber": "007"})],
    ),
    "1.3": (
        {"PatientID": "C", "PatientName": "Гусева^Анна", "IssuerOfPatientID": "HOSP"},
        {"StudyDate": "20240301", "StudyTime": "10", "ReferringPhysicianName": "MÜLLER^Ärzt"},
        [("MR", {"BodyPartExamined": "HEAD"}), ("PT", {"SeriesDate": "20240301", "SeriesTime": "0900"})],
    ),
    "1.4": (
        {"PatientID": "D,E", "PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう"},
        {"StudyDate": None, "StudyDescription": "Chest, PA \U0001f600"},
        [("CR", {"Manufacturer": "ACME"})],
    ),
    "1.5": (
        {"PatientID": None, "PatientName": None},
        {"StudyDate": "20231231", "StudyTime": "235959"},
        [("US", {"PerformedProcedureStepStartDate": "20231230", "PerformedProcedureStepStartTime": "0800"})],
    ),
}
REQUESTS = [
    {"ScheduledProcedureStepID": "S1", "RequestedProcedureID": "R1"},
    {"ScheduledProcedureStepID": "S2", "RequestedProcedureID": "R2"},
]


def fill(engine):
    """Put them in."""
    for study_uid, (patient, study, series) in STUDIES.items():
        for number, (modality, tags) in enumerate(series, 1):
            uid = f"{study_uid}.{number}"
            if uid == "1.1.1":
                tags = {**tags, "RequestAttributesSequence": REQUESTS}
            made = {
                f"{uid}.{n}": instance(
                    f"{uid}.{n}", frames=n if modality == "US" else 1, InstanceNumber=str(12 - n)
                )
                for n in (1, 2, 3)
            }
            one = document(
                study_uid,
                {uid: made},
                name=uid,
                patient=patient,
                study=study,
                series_tags={"Modality": modality, **tags},
            )
            index_image_set(engine, one, version=1, is_primary=True)


def ask(engine, level, *pairs, **scope):
    return search(engine, parse_query(level, pairs, **scope))


def uids(result, level):
    key = {"study": "0020000D", "series": "0020000E", "instance": "00080018"}[level]
    return [row[key]["Value"][0] for row in result.rows]


def studies(engine, *pairs):
    return " ".join(sorted(uid[2:] for uid in uids(ask(engine, "study", *pairs), "study")))
