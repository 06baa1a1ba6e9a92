"""The attribute table of searching: each key that can be matched, its level, how, and where it is stored.

dicomweb.md Q-7 to Q-9. `column` is the column of the level's side table (`gateway_study`,
`gateway_series`, `gateway_instance`); names, modalities and request items have tables of their own.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Literal

from dicomweb_gateway.dicom.dictionary import attribute_of_keyword

Level = Literal["study", "series", "instance"]

LEVELS: tuple[Level, ...] = ("study", "series", "instance")
"""From the top down; a search may use the keys of its own level and those above (section 2)."""


class Matching(Enum):
    """How a value is compared, by VR (Q-10 to Q-22)."""

    UID = "uid"
    TEXT = "text"
    NAME = "name"
    DATE = "date"
    TIME = "time"
    MOMENT = "moment"
    NUMBER = "number"
    MODALITIES = "modalities"


_BY_VR = {
    "UI": Matching.UID,
    "PN": Matching.NAME,
    "DA": Matching.DATE,
    "TM": Matching.TIME,
    "DT": Matching.MOMENT,
    "IS": Matching.NUMBER,
    "US": Matching.NUMBER,
}

LIST_VRS = frozenset({"CS", "SH", "LO"})
"""VRs whose keys take a list of values (Q-16), besides UI."""

BACKSLASH_VRS = frozenset({"LT", "ST", "UT"})
"""VRs in which a backslash is text and never separates values (PS3.5 6.4)."""


@dataclass(frozen=True, slots=True)
class QueryAttribute:
    """One attribute that can be matched."""

    tag: int
    keyword: str
    vr: str
    level: Level
    column: str
    matching: Matching


def _row(level: Level, keyword: str, column: str = "", matching: Matching | None = None) -> QueryAttribute:
    attribute = attribute_of_keyword(keyword)
    if attribute is None:
        raise LookupError(f"{keyword} is not in the data dictionary")
    vr = attribute.vr
    return QueryAttribute(
        attribute.tag,
        keyword,
        vr,
        level,
        column or keyword.lower(),
        matching or _BY_VR.get(vr, Matching.TEXT),
    )


_ROWS = (
    _row("study", "StudyInstanceUID", "study_uid"),
    _row("study", "StudyDate"),
    _row("study", "StudyTime"),
    _row("study", "AccessionNumber"),
    _row("study", "ModalitiesInStudy", "modality", Matching.MODALITIES),
    _row("study", "ReferringPhysicianName"),
    _row("study", "PatientName"),
    _row("study", "PatientID"),
    _row("study", "IssuerOfPatientID"),
    _row("study", "PatientBirthDate"),
    _row("study", "PatientSex"),
    _row("study", "StudyID"),
    _row("study", "StudyDescription"),
    _row("study", "NumberOfStudyRelatedSeries", "series_count"),
    _row("study", "NumberOfStudyRelatedInstances", "instance_count"),
    _row("series", "SeriesInstanceUID", "series_uid"),
    _row("series", "Modality"),
    _row("series", "SeriesNumber"),
    _row("series", "SeriesDescription"),
    _row("series", "SeriesDate"),
    _row("series", "SeriesTime"),
    _row("series", "PerformedProcedureStepStartDate"),
    _row("series", "PerformedProcedureStepStartTime"),
    _row("series", "BodyPartExamined"),
    _row("series", "Manufacturer"),
    _row("series", "ManufacturerModelName"),
    _row("series", "InstitutionName"),
    _row("series", "StationName"),
    _row("series", "ProtocolName"),
    _row("series", "Laterality"),
    _row("series", "NumberOfSeriesRelatedInstances", "instance_count"),
    _row("instance", "SOPInstanceUID", "instance_uid"),
    _row("instance", "SOPClassUID", "sop_class_uid"),
    _row("instance", "InstanceNumber"),
    _row("instance", "NumberOfFrames"),
    _row("instance", "Rows"),
    _row("instance", "Columns"),
    _row("instance", "ContentDate"),
    _row("instance", "AcquisitionDateTime"),
)

ATTRIBUTES: dict[int, QueryAttribute] = {row.tag: row for row in _ROWS}

REQUEST_ATTRIBUTES = 0x00400275
REQUEST_ITEM_ATTRIBUTES: dict[int, QueryAttribute] = {
    row.tag: row
    for row in (_row("series", "ScheduledProcedureStepID"), _row("series", "RequestedProcedureID"))
}
"""Keys below RequestAttributesSequence; `column` is one of `gateway_request`."""

MODALITIES_IN_STUDY = 0x00080061
MODALITY = 0x00080060
SPECIFIC_CHARACTER_SET = 0x00080005


def usable_at(attribute: QueryAttribute, level: Level) -> bool:
    """Whether a search of `level` takes keys of the attribute's level (the table of section 2)."""
    return LEVELS.index(attribute.level) <= LEVELS.index(level)
