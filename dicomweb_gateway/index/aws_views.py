"""The AWS tables in the shape of our side tables, as common table expressions (healthimaging.md 6.1, 6.3).

A database that only the AWS project made, and that we may only read, has no side tables. Statements about
them run there all the same behind `WITH gateway_study AS (...)`: flawed values are mended on the way
(`'None'` is no value, padding goes), and what the AWS tables do not hold is NULL. Keys are theirs, so one
variant for each study and series. Texts compare byte by byte, as in our tables, but UIDs compare as the
column does, so that its index serves them.
"""

import re

from dicomweb_gateway.dicom.transfer_syntax import HTJ2K_LOSSLESS_RPCL
from dicomweb_gateway.index import side_tables as side
from dicomweb_gateway.index.aws_values import NO_VALUE
from dicomweb_gateway.index.tables import DEFAULT_ISSUER, NO_PATIENT_ID

# ruff: noqa: S608 - nothing that comes from outside becomes part of these texts

_BINARY = "COLLATE utf8mb4_bin"
_LOOSE = "COLLATE utf8mb4_general_ci"
"""Holds u and ü for equal, as fuzzy matching does."""

_WORDS = 6
"""Words of a name group that fuzzy matching sees in a database without our tables."""


def _text(column: str) -> str:
    trimmed = f"TRIM(CONVERT({column} USING utf8mb4))"
    return f"NULLIF(NULLIF({trimmed}, ''), '{NO_VALUE}') {_BINARY}"


def _number(column: str) -> str:
    return f"IF({_text(column)} REGEXP '^[+-]?[0-9]+$', CAST({_text(column)} AS SIGNED), NULL)"


def _element(tag: str, vr: str, value: str) -> str:
    """A member of a DICOM JSON object; JSON null, which merging drops, where there is no value."""
    made = f"JSON_OBJECT('vr', '{vr}', 'Value', JSON_ARRAY({value}))"
    return f"'{tag}', JSON_EXTRACT(IF({value} IS NULL, 'null', {made}), '$')"


def _name(tag: str, column: str) -> str:
    groups = ("Alphabetic", "Ideographic", "Phonetic")
    parts = ", ".join(f"'{key}', {_group(column, number)}" for number, key in enumerate(groups, 1))
    made = f"JSON_OBJECT('vr', 'PN', 'Value', JSON_ARRAY(JSON_MERGE_PATCH('{{}}', JSON_OBJECT({parts}))))"
    return f"'{tag}', JSON_EXTRACT(IF({_text(column)} IS NULL, 'null', {made}), '$')"


def _group(column: str, number: int) -> str:
    """One component group of a PN value, NULL when it is empty; `number` from 1."""
    text = _text(column)
    found = f"SUBSTRING_INDEX(SUBSTRING_INDEX({text}, '=', {number}), '=', -1)"
    exists = f"LENGTH({text}) - LENGTH(REPLACE({text}, '=', '')) >= {number - 1}"
    return f"IF({exists}, NULLIF(TRIM({found}), ''), NULL)"


def _folded(column: str, number: int) -> str:
    """A name group as `names.fold_group` has it, as far as a database can."""
    components = f"REGEXP_REPLACE({_group(column, number)}, ' *\\\\^ *', '^')"
    return f"LOWER(REGEXP_REPLACE({components}, '\\\\^+$', '')) {_BINARY}"


def _attributes(*members: str) -> str:
    return f"JSON_MERGE_PATCH('{{}}', JSON_OBJECT({', '.join(members)}))"


def _date(tag: str, column: str) -> str:
    return _element(tag, "DA", f"DATE_FORMAT({column}, '%Y%m%d')")


def _time(tag: str, column: str) -> str:
    return _element(tag, "TM", f"TIME_FORMAT({column}, '%H%i%s')")


_PATIENT_ID = f"NULLIF({_text('patient.patientid')}, '{NO_PATIENT_ID}')"
_ISSUER = f"NULLIF({_text('issuer.issuerofpatientid')}, '{DEFAULT_ISSUER}')"

_STUDY = f"""
    SELECT study.study_pkey AS study_key, study.studyinstanceuid AS study_uid, '' AS patient_key,
        1 AS is_main, NULL AS imageset_key, {_PATIENT_ID} AS patientid, {_ISSUER} AS issuerofpatientid,
        patient.patientbirthdate AS patientbirthdate, {_text("patient.patientsex")} AS patientsex,
        {_text("study.accessionnumber")} AS accessionnumber, {_text("study.studyid")} AS studyid,
        study.studydate AS studydate, study.studytime AS studytime,
        {_text("study.studydescription")} AS studydescription,
        COALESCE(study.numberofstudyrelatedseries, 0) AS series_count,
        COALESCE(study.numberofstudyrelatedinstances, 0) AS instance_count,
        {
    _attributes(
        _date("00080020", "study.studydate"),
        _time("00080030", "study.studytime"),
        _element("00080050", "SH", _text("study.accessionnumber")),
        _name("00080090", "study.referringphysicianname"),
        _element("00081030", "LO", _text("study.studydescription")),
        _name("00100010", "patient.patientname"),
        _element("00100020", "LO", _PATIENT_ID),
        _element("00100021", "LO", _ISSUER),
        _date("00100030", "patient.patientbirthdate"),
        _element("00100040", "CS", _text("patient.patientsex")),
        _element("00104000", "LT", _text("patient.patientcomments")),
        _element("00200010", "SH", _text("study.studyid")),
    )
} AS attributes
    FROM study JOIN patient ON patient.patient_pkey = study.patient_pkey
    JOIN issuer ON issuer.issuer_pkey = patient.issuer_pkey"""

_SERIES = f"""
    SELECT series.series_pkey AS series_key, series.study_pkey AS study_key,
        study.studyinstanceuid AS study_uid, series.seriesinstanceuid AS series_uid, 1 AS is_main,
        NULL AS imageset_key, {_text("series.modality")} AS modality,
        {_number("series.seriesnumber")} AS seriesnumber,
        COALESCE({_number("series.seriesnumber")}, {side.MISSING_LAST}) AS series_order,
        {_text("series.seriesdescription")} AS seriesdescription,
        {_text("series.bodypartexamined")} AS bodypartexamined,
        {_text("series.manufacturer")} AS manufacturer, NULL AS manufacturermodelname,
        {_text("series.institutionname")} AS institutionname, {_text("series.stationname")} AS stationname,
        {_text("series.protocolname")} AS protocolname, {_text("series.laterality")} AS laterality,
        CAST(NULL AS DATE) AS seriesdate, CAST(NULL AS TIME) AS seriestime,
        CAST(NULL AS DATE) AS performedprocedurestepstartdate,
        CAST(NULL AS TIME) AS performedprocedurestepstarttime,
        COALESCE(series.numberofseriesrelatedinstances, 0) AS instance_count,
        {
    _attributes(
        _element("00080060", "CS", _text("series.modality")),
        _element("00080070", "LO", _text("series.manufacturer")),
        _element("00080080", "LO", _text("series.institutionname")),
        _element("00081010", "SH", _text("series.stationname")),
        _element("0008103E", "LO", _text("series.seriesdescription")),
        _element("00180015", "CS", _text("series.bodypartexamined")),
        _element("00181030", "LO", _text("series.protocolname")),
        _element("00200011", "IS", _number("series.seriesnumber")),
        _element("00200060", "CS", _text("series.laterality")),
    )
} AS attributes
    FROM series JOIN study ON study.study_pkey = series.study_pkey"""

_INSTANCE = f"""
    SELECT instance.instance_pkey AS instance_key, instance.series_pkey AS series_key,
        instance.imageset_pkey AS imageset_key, instance.sopinstanceuid AS instance_uid,
        instance.sopclassuid AS sop_class_uid, instance.instancenumber AS instancenumber,
        COALESCE(instance.instancenumber, {side.MISSING_LAST}) AS instance_order,
        instance.contentdate AS contentdate, CAST(NULL AS DATETIME) AS acquisitiondatetime,
        instance.numberofframes AS numberofframes, instance.`rows` AS `rows`,
        instance.`columns` AS `columns`, '{HTJ2K_LOSSLESS_RPCL}' AS transfer_syntax_uid,
        IF(instance.`rows` IS NULL, NULL, 'PixelData') AS pixel_keyword,
        {
    _attributes(
        _element("00080008", "CS", _text("instance.imagetype")),
        _element("00080016", "UI", _text("instance.sopclassuid")),
        _element("00080018", "UI", _text("instance.sopinstanceuid")),
        _date("00080022", "instance.acquisitiondate"),
        _date("00080023", "instance.contentdate"),
        _time("00080032", "instance.acquisitiontime"),
        _time("00080033", "instance.contenttime"),
        _element("00200013", "IS", "instance.instancenumber"),
        _element("00280004", "CS", _text("instance.photometricinterpretation")),
        _element("00280008", "IS", "instance.numberofframes"),
        _element("00280010", "US", "instance.`rows`"),
        _element("00280011", "US", "instance.`columns`"),
        _element("00280100", "US", "instance.bitsallocated"),
        _element("00280101", "US", "instance.bitsstored"),
        _element("00280102", "US", "instance.highbit"),
        _element("00280103", "US", "instance.pixelrepresentation"),
        _element("00281050", "DS", _text("instance.windowcenter")),
        _element("00281051", "DS", _text("instance.windowwidth")),
        _element("00281052", "DS", _text("instance.rescaleintercept")),
        _element("00281053", "DS", _text("instance.rescaleslope")),
    )
} AS attributes
    FROM instance"""


def _names(keyword: str, column: str, number: int) -> str:
    return f"""
    SELECT study.study_pkey AS study_key, '{keyword}' {_BINARY} AS keyword, {number} AS groupnumber,
        {_folded(column, number)} AS folded
    FROM study JOIN patient ON patient.patient_pkey = study.patient_pkey
    WHERE {_folded(column, number)} <> ''"""


def _words(keyword: str, column: str, number: int) -> str:
    """Word `number` of a name, whatever component group it stands in."""
    spaced = f"REGEXP_REPLACE(TRIM(REGEXP_REPLACE(LOWER({_text(column)}), '[=^,.-]', ' ')), ' +', ' ')"
    word = f"SUBSTRING_INDEX(SUBSTRING_INDEX({spaced}, ' ', {number}), ' ', -1)"
    exists = f"LENGTH({spaced}) - LENGTH(REPLACE({spaced}, ' ', '')) >= {number - 1}"
    return f"""
    SELECT study.study_pkey AS study_key, '{keyword}' {_BINARY} AS keyword, {word} {_LOOSE} AS word
    FROM study JOIN patient ON patient.patient_pkey = study.patient_pkey WHERE {exists}"""


_PERSONS = {"PatientName": "patient.patientname", "ReferringPhysicianName": "study.referringphysicianname"}

VIEWS = {
    "gateway_study": _STUDY,
    "gateway_series": _SERIES,
    "gateway_instance": _INSTANCE,
    "gateway_person_name": " UNION ALL ".join(
        _names(keyword, column, number) for keyword, column in _PERSONS.items() for number in (1, 2, 3)
    ),
    "gateway_name_word": " UNION ALL ".join(
        _words(keyword, column, number)
        for keyword, column in _PERSONS.items()
        for number in range(1, _WORDS + 1)
    ),
    "gateway_request": """
    SELECT series.series_pkey AS series_key, 1 AS item, NULL AS scheduledprocedurestepid,
        NULL AS requestedprocedureid FROM series WHERE 1 = 0""",
}
"""What stands for each side table that searching reads."""

_NAMES = re.compile(r"\b(" + "|".join(VIEWS) + r")\b")


def over_aws_tables(statement: str) -> str:
    """A SELECT about side tables as one about the AWS tables; percent signs doubled for the driver."""
    used = sorted(set(_NAMES.findall(statement)))
    if not used:
        return statement
    parts = ", ".join(f"{name} AS ({VIEWS[name]})".replace("%", "%%") for name in used)
    return f"WITH {parts} {statement}"
