"""Which of the AWS Lambda's tables hold what is asked, and how they are joined (healthimaging.md 6)."""

from typing import Any

from sqlalchemy import ColumnElement, FromClause, Table

from dicomweb_gateway.index import tables as aws
from dicomweb_gateway.qido.attributes import Level, QueryAttribute
from dicomweb_gateway.qido.expression import (
    Condition,
    EmptyOr,
    ItemIn,
    ModalitiesIn,
    NameIn,
    NameWords,
    OrderKey,
    QidoQuery,
    RequestItem,
)

_ISSUER, _PATIENT, _STUDY = aws.issuer, aws.patient, aws.study
_SERIES, _INSTANCE = aws.series, aws.instance
_HOMES: dict[Level, tuple[Table, ...]] = {
    "study": (_STUDY, _PATIENT, _ISSUER),
    "series": (_SERIES,),
    "instance": (_INSTANCE,),
}
_UNUSABLE = frozenset({"ObservationTime", "WindowCenter", "WindowWidth"})
"""Attributes whose column is never filled (flaw 4), or holds lists of numbers as text, cut short (flaw 2)."""


def aws_column(attribute: QueryAttribute) -> ColumnElement[Any] | None:
    """The Lambda's column of an attribute, None where it has none."""
    name = attribute.keyword.lower()
    if attribute.keyword in _UNUSABLE:
        return None
    return next((home.c[name] for home in _HOMES[attribute.level] if name in home.c), None)


def column_of(attribute: QueryAttribute) -> ColumnElement[Any]:
    """The same; LookupError where it has none."""
    column = aws_column(attribute)
    if column is None:
        raise LookupError(f"the AWS tables hold no {attribute.keyword}")
    return column


def joined_of(level: Level) -> FromClause:
    """The tables of a level and of those above it, without the patient's."""
    if level == "study":
        return _STUDY
    above = _SERIES.join(_STUDY, _STUDY.c.study_pkey == _SERIES.c.study_pkey)
    if level == "series":
        return above
    return _INSTANCE.join(above, _SERIES.c.series_pkey == _INSTANCE.c.series_pkey)


def with_patient(joined: FromClause) -> FromClause:
    """Joined with the patient and the issuer, where there are any."""
    return joined.outerjoin(_PATIENT, _PATIENT.c.patient_pkey == _STUDY.c.patient_pkey).outerjoin(
        _ISSUER, _ISSUER.c.issuer_pkey == _PATIENT.c.issuer_pkey
    )


def is_about_patient(query: QidoQuery) -> bool:
    """Whether a key or the order reads a column of the patient's."""
    asked = [*query.conditions, *(key for key in query.order)]
    return any(map(_names_patient, asked))


def _names_patient(asked: Condition | OrderKey) -> bool:
    """Whether it reads a column of the patient's; names do so by themselves."""
    match asked:
        case EmptyOr(empty, _):
            return _names_patient(empty)
        case NameIn() | NameWords() | ModalitiesIn() | RequestItem() | ItemIn():
            return False
    column = aws_column(asked.attribute)
    return column is not None and column.table in (_PATIENT, _ISSUER)
