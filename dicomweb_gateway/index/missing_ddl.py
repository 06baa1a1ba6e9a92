"""What `db upgrade` would add to a database that the AWS project made, and what each line gains."""

from typing import NamedTuple

from sqlalchemy import Engine, Index, inspect
from sqlalchemy.engine import Inspector
from sqlalchemy.schema import CreateIndex

from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index import tables as aws
from dicomweb_gateway.index.engine import index_errors, make_engine

GAINS = {
    "patient_patientid": "PatientID without reading all patients",
    "patient_patientname": "PatientName without reading all patients",
    "patient_birthdate": "PatientBirthDate without reading all patients",
    "study_accessionnumber": "AccessionNumber without reading all studies",
    "study_studyid": "StudyID without reading all studies",
    "study_date_time_uid": "latest studies first, and StudyDate, without sorting all studies",
    "series_study_modality": "ModalitiesInStudy of the studies of a page",
    "series_modality_study": "rare modalities without reading all series",
    "instance_series_number": "instances of a series in order",
    "instance_imageset": "instances of an image set without reading all instances",
    "frame_instance": "frames of an instance without reading all frames",
    "frame_imageset": "frames of an image set without reading all frames",
    "imageset_datastoreid": "image sets of a data store",
    "imageset_series": "each retrieval: image sets of a series without reading all image sets",
}
"""What an index on an AWS table is for, by its name."""

SIDE_TABLES_GAIN = (
    "every attribute as a key, exact names and times, versions and frames without asking HealthImaging"
)


_SEARCHED = (aws.patient, aws.study, aws.series, aws.instance, aws.frame, aws.imageset)


class MissingDdl(NamedTuple):
    """One line: the statement, or the command that makes it, and what it gains."""

    statement: str
    gain: str


def missing_ddl(url: str) -> list[MissingDdl]:
    """What the AWS tables of the database at `url` lack; nothing where they do not exist at all.

    Raises IndexUnavailable.
    """
    engine = make_engine(url, pool_size=1)
    try:
        with index_errors():
            known = inspect(engine)
            present = set(known.get_table_names())
            lines = [_line(engine, index) for index in _indexes(known, present)]
            if aws.study.name in present and side.gateway_study.name not in present:
                lines.append(MissingDdl("dicomweb-gateway db upgrade (side tables)", SIDE_TABLES_GAIN))
            return lines
    finally:
        engine.dispose()


def _indexes(known: Inspector, present: set[str]) -> list[Index]:
    """Our indexes on existing AWS tables that no index or unique key there serves."""
    missing = []
    for table in _SEARCHED:
        if table.name not in present:
            continue
        served = [[*index["column_names"]] for index in known.get_indexes(table.name)]
        for index in sorted(table.indexes, key=lambda one: str(one.name)):
            columns = [column.name for column in index.columns]
            if not any(found[: len(columns)] == columns for found in served):
                missing.append(index)
    return missing


def _line(engine: Engine, index: Index) -> MissingDdl:
    statement = " ".join(str(CreateIndex(index).compile(engine)).split())
    return MissingDdl(statement, GAINS[str(index.name)])
