"""What the AWS Lambda alone wrote below studies and series that our tables know: it counts too (Q-49)."""

from collections.abc import Collection
from dataclasses import dataclass, field

from sqlalchemy import Connection, func, select, union

from dicomweb_gateway.index import tables as aws
from dicomweb_gateway.index.aws_columns import text_like_any, text_of
from dicomweb_gateway.index.aws_values import stored_text
from dicomweb_gateway.index.chunks import portions
from dicomweb_gateway.index.patterns import Expression
from dicomweb_gateway.index.unknown_rows import UNKNOWN, grown_series, unknown_series
from dicomweb_gateway.qido.expression import TextPattern

_STUDY, _SERIES, _INSTANCE = aws.study, aws.series, aws.instance


@dataclass(slots=True)
class Below:
    """Unknown things below a study or series: numbers of series and instances, modalities of the series.

    `is_uncounted`: one of the series has no instance rows, so that nobody knows how many it has (flaw 7).
    """

    series: int = 0
    instances: int = 0
    is_uncounted: bool = False
    modalities: set[str] = field(default_factory=set)


def unknown_below(connection: Connection, study_uids: Collection[str]) -> dict[str, Below]:
    """By the UIDs of the studies, and of their known series, that have something unknown below them."""
    instances = (
        select(func.count())
        .where(_INSTANCE.c.series_pkey == _SERIES.c.series_pkey, UNKNOWN["instance"])
        .scalar_subquery()
    )
    series = union(unknown_series(), grown_series())
    found: dict[str, Below] = {}
    for uids in portions(study_uids):
        query = (
            select(
                _STUDY.c.studyinstanceuid,
                _SERIES.c.seriesinstanceuid,
                _SERIES.c.modality,
                UNKNOWN["series"].label("is_new"),
                instances.label("instances"),
            )
            .join(_SERIES, _SERIES.c.study_pkey == _STUDY.c.study_pkey)
            .where(_STUDY.c.studyinstanceuid.in_(uids), _SERIES.c.series_pkey.in_(series))
        )
        for study_uid, series_uid, modality, is_new, number in connection.execute(query):
            for uid in (study_uid, series_uid):
                below = found.setdefault(uid, Below())
                below.instances += number
            if is_new:
                found[study_uid].series += 1
                found[study_uid].is_uncounted |= number == 0
                found[study_uid].modalities |= {name for name in [stored_text(modality)] if name}
    return found


def has_unknown_modality(study_uid: Expression, patterns: tuple[TextPattern, ...] | None) -> Expression:
    """The study has an unknown series with one of the modalities; None: with any modality at all."""
    modality = _SERIES.c.modality
    meets = text_of(modality).is_not(None) if patterns is None else text_like_any(modality, patterns)
    found = (
        select(_STUDY.c.studyinstanceuid)
        .join(_SERIES, _SERIES.c.study_pkey == _STUDY.c.study_pkey)
        .where(_SERIES.c.series_pkey.in_(unknown_series()), UNKNOWN["series"], meets)
    )
    return study_uid.in_(found)
