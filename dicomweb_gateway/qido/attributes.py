"""The attributes of searching: each key that can be matched, its level, how, and where it is stored.

dicomweb.md Q-7 to Q-9 name those of ATTRIBUTES. `column` is the column of the level's side table
(`gateway_study`, `gateway_series`, `gateway_instance`); names, modalities and request items have tables of
their own. What else a level holds is matched over its DICOM JSON (Q-3).
"""

from dataclasses import dataclass
from enum import Enum
from typing import Literal

from dicomweb_gateway.dicom.dictionary import attribute_of_keyword, attribute_of_tag
from dicomweb_gateway.dicom.normalization import level_of

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
    DECIMAL = "decimal"
    EXACT = "exact"
    TAG = "tag"
    MODALITIES = "modalities"


_BY_VR = {
    "UI": Matching.UID,
    "PN": Matching.NAME,
    "DA": Matching.DATE,
    "TM": Matching.TIME,
    "DT": Matching.MOMENT,
    "AS": Matching.EXACT,
    "AT": Matching.TAG,
    **dict.fromkeys(("AE", "CS", "LO", "LT", "SH", "ST", "UC", "UR", "UT"), Matching.TEXT),
    **dict.fromkeys(("IS", "US", "SS", "UL", "SL", "SV", "UV", "US or SS"), Matching.NUMBER),
    **dict.fromkeys(("DS", "FL", "FD"), Matching.DECIMAL),
}
"""All VRs that can be matched: sequences by their items' keys only, bulk data not at all (PS3.4 C.2.2.2)."""

LIST_VRS = frozenset({"CS", "SH", "LO"})
"""VRs whose keys take a list of values (Q-16), besides UI."""

BACKSLASH_VRS = frozenset({"LT", "ST", "UT"})
"""VRs in which a backslash is text and never separates values (PS3.5 6.4)."""


@dataclass(frozen=True, slots=True)
class QueryAttribute:
    """One attribute that can be matched; `column` None: it is held only in the DICOM JSON of its level."""

    tag: int
    keyword: str
    vr: str
    level: Level
    column: str | None
    matching: Matching

    @property
    def own_column(self) -> str:
        """Its column; LookupError when it has none."""
        if self.column is None:
            raise LookupError(f"{self.keyword} has no column")
        return self.column


def _row(level: Level, keyword: str, column: str = "", matching: Matching | None = None) -> QueryAttribute:
    attribute = attribute_of_keyword(keyword)
    if attribute is None:
        raise LookupError(f"{keyword} is not in the data dictionary")
    matching = matching or _BY_VR[attribute.vr]
    return QueryAttribute(attribute.tag, keyword, attribute.vr, level, column or keyword.lower(), matching)


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

_UNRELIABLE = frozenset(
    {
        SPECIFIC_CHARACTER_SET,  # says UTF-8, whatever the data said
        0x00080052,  # QueryRetrieveLevel, and below: said of a search or an answer, not held with the data
        0x00080053,  # QueryRetrieveView
        0x00080054,  # RetrieveAETitle
        0x00080056,  # InstanceAvailability
        0x00080062,  # SOPClassesInStudy, and below: would have to be counted or gathered
        0x00080063,  # AnatomicRegionsInStudyCodeSequence
        0x00201200,  # NumberOfPatientRelatedStudies
        0x00201202,  # NumberOfPatientRelatedSeries
        0x00201204,  # NumberOfPatientRelatedInstances
        0x00081190,  # RetrieveURL
        0x00083002,  # AvailableTransferSyntaxUID
        0x52009230,  # PerFrameFunctionalGroupsSequence: the index leaves it out where it is long
    }
)
"""Attributes that the DICOM JSON of the index never holds, or not as the instances have them."""

_NO_DATA_SET = frozenset({0x0000, 0x0002, 0x0004})
"""Groups of commands, file meta information and directories: no part of an instance's data set."""


def stored_attribute(tag: int) -> QueryAttribute | None:
    """The attribute without a column that is matched over the DICOM JSON of its level (Q-3).

    None when it cannot be matched, and for those that ATTRIBUTES has.
    """
    if tag in ATTRIBUTES or tag in _UNRELIABLE:
        return None
    return item_attribute(tag, level_held(tag))


def item_attribute(tag: int, level: Level) -> QueryAttribute | None:
    """The attribute in items of a sequence of `level`; None when it cannot be matched there."""
    row = attribute_of_tag(tag) if tag != SPECIFIC_CHARACTER_SET and _in_data_sets(tag) else None
    matching = _BY_VR.get(row.vr) if row is not None else None
    if row is None or matching is None:
        return None
    return QueryAttribute(tag, row.keyword, row.vr, level, None, matching)


def holds_items(tag: int) -> bool:
    """Whether `tag` is a standard sequence."""
    row = attribute_of_tag(tag)
    return row is not None and row.vr == "SQ"


def items_are_held(tag: int) -> bool:
    """Whether `tag` is a sequence whose items the DICOM JSON of its level holds."""
    return holds_items(tag) and tag not in _UNRELIABLE


def level_held(tag: int) -> Level:
    """The level whose DICOM JSON holds an attribute; those of the patient are with the study."""
    level = level_of(tag)
    return "study" if level == "patient" else level


def _in_data_sets(tag: int) -> bool:
    """Whether data sets hold it: no command, file meta information, directory record or group length."""
    return tag >> 16 not in _NO_DATA_SET and bool(tag & 0xFFFF)


def usable_at(attribute: QueryAttribute, level: Level) -> bool:
    """Whether a search of `level` takes keys of the attribute's level (the table of section 2)."""
    return LEVELS.index(attribute.level) <= LEVELS.index(level)
