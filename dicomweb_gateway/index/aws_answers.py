"""What the AWS Lambda keeps of a study, series or instance, as DICOM JSON (healthimaging.md 6.2, 6.3)."""

from collections.abc import Callable, Sequence
from datetime import date, datetime, time
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table

from dicomweb_gateway.dicom.json_model import JsonObject
from dicomweb_gateway.dicom.transfer_syntax import HTJ2K_LOSSLESS_RPCL
from dicomweb_gateway.imagesets.elements import dicom_json
from dicomweb_gateway.index import tables as aws
from dicomweb_gateway.index.aws_numbers import NONE, counted, modalities_of
from dicomweb_gateway.index.aws_values import stored_text, stored_values
from dicomweb_gateway.index.rows import (
    INSTANCE_KEYWORDS,
    PATIENT_KEYWORDS,
    SERIES_KEYWORDS,
    STUDY_KEYWORDS,
)
from dicomweb_gateway.qido.answers import Found, answer
from dicomweb_gateway.qido.attributes import Level
from dicomweb_gateway.qido.expression import QidoQuery

_KEYWORDS: dict[Level, tuple[tuple[Table, tuple[str, ...]], ...]] = {
    "study": (
        (aws.study, STUDY_KEYWORDS),
        (aws.patient, PATIENT_KEYWORDS),
        (aws.issuer, ("IssuerOfPatientID",)),
    ),
    "series": ((aws.series, SERIES_KEYWORDS),),
    "instance": ((aws.instance, (*INSTANCE_KEYWORDS, "SOPClassUID", "SOPInstanceUID")),),
}
LISTS = frozenset({"ImageType", "WindowCenter", "WindowWidth"})
"""Attributes whose column may hold a list as Python writes it (flaw 2)."""

_NOTHING = {"PatientID": aws.NO_PATIENT_ID, "IssuerOfPatientID": aws.DEFAULT_ISSUER}


def _columns(level: Level) -> dict[str, ColumnElement[Any]]:
    return {
        keyword: table.c[keyword.lower()]
        for table, keywords in _KEYWORDS[level]
        for keyword in keywords
        if keyword.lower() in table.c
    }


_LEVELS: tuple[Level, ...] = ("study", "series", "instance")
_BY_KEYWORD = {level: _columns(level) for level in _LEVELS}
COLUMNS = {
    level: [column.label(f"v_{key}") for key, column in _BY_KEYWORD[level].items()] for level in _LEVELS
}
"""What `attributes_of` reads of a row, by level: the study's hold the patient's."""


def attributes_of(level: Level, row: Any) -> JsonObject:
    """The attributes that the Lambda's columns hold of one level; those without a value are left out."""
    tags = {}
    for keyword in _BY_KEYWORD[level]:
        value = _value(keyword, getattr(row, f"v_{keyword}"))
        if value not in (None, []):
            tags[keyword] = value
    return dicom_json(tags, {})


def _found_row(query: QidoQuery, row: Any) -> Found:
    """A row of `COLUMNS` and the UIDs of its levels as what is answered; numbers and modalities not yet."""
    found = Found(study_uid=row.study_uid, study=attributes_of("study", row))
    if query.level != "study":
        found.series_uid, found.series = row.series_uid, attributes_of("series", row)
    if query.level == "instance":
        found.instance_uid, found.instance = row.instance_uid, attributes_of("instance", row)
        # what HealthImaging stores unless told otherwise; the Lambda does not note it
        found.stored_syntax, found.has_frames = HTJ2K_LOSSLESS_RPCL, "00280010" in found.instance
    return found


def answers_of(connection: Connection, query: QidoQuery, rows: Sequence[Any]) -> list[JsonObject]:
    """Such rows as they are answered, in their order; numbers are counted (Q-49) or unknown (flaw 7)."""
    studies = {row.study_uid for row in rows} if query.shows_study else set()
    series = {row.series_uid for row in rows} if query.shows_series else set()
    modalities = modalities_of(connection, studies)
    numbers = counted(connection, aws.study.c.studyinstanceuid, studies)
    in_series = counted(connection, aws.series.c.seriesinstanceuid, series)
    answers = []
    for row in rows:
        found = _found_row(query, row)
        found.modalities = modalities.get(row.study_uid, ())
        found.series_of_study, found.instances_of_study = numbers.get(row.study_uid, NONE)
        if query.shows_series:
            found.instances_of_series = in_series.get(row.series_uid, NONE).instances
        answers.append(answer(query, found))
    return answers


def _value(keyword: str, value: Any) -> Any:
    if keyword in LISTS:
        return stored_values(value)
    read = next((read for kind, read in _READERS.items() if isinstance(value, kind)), None)
    found = value if read is None else read(value)
    return None if found == _NOTHING.get(keyword) else found


def _clock(value: time) -> str:
    return value.strftime("%H%M%S") + (f".{value.microsecond:06d}" if value.microsecond else "")


_READERS: dict[type, Callable[[Any], Any]] = {
    str: stored_text,
    datetime: lambda value: value.strftime("%Y%m%d%H%M%S"),
    date: lambda value: value.strftime("%Y%m%d"),
    time: _clock,
}
