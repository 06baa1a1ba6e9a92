"""The AWS metadata index (schema `ahiindex`, healthimaging.md 6.1), as migrations/ creates it.

Names, columns and order are those that the AWS Lambda writes to, some of them by position: nothing may be
added here. Text columns are wider than the Lambda's where HealthImaging admits longer values (6.4).
Our own data stands in `side_tables.py`.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    Time,
    UniqueConstraint,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.sql.schema import SchemaItem

metadata = MetaData()

Key = BigInteger().with_variant(Integer(), "sqlite")
"""Surrogate keys: SQLite counts up only a column that is declared INTEGER."""

Clock = Time().with_variant(mysql.TIME(fsp=6), "mysql", "mariadb")
"""Time of day with microseconds; plain TIME drops them on MySQL."""

TEXT_LENGTH = 256
"""Characters of widened text columns: what HealthImaging itself admits."""

DEFAULT_ISSUER = "DEFAULT_DOMAIN"
"""Issuer of patients whose documents name none; its row is seeded."""

NO_PATIENT_ID = "NO_PID"
"""Patient id of patients whose documents name none."""


def primary_key(table: str) -> Column[int]:
    """The key column that every AWS table has."""
    return Column(f"{table}_pkey", Key, primary_key=True, autoincrement=True)


def _parent(table: str) -> Column[int]:
    name = f"{table}_pkey"
    return Column(name, Key, ForeignKey(f"{table}.{name}", ondelete="CASCADE"), nullable=False)


def _text(name: str, length: int = TEXT_LENGTH, required: bool = False) -> Column[str]:
    return Column(name, String(length), nullable=not required)


def _table(name: str, *items: SchemaItem) -> Table:
    return Table(name, metadata, primary_key(name), *items, mysql_charset="utf8mb4", mysql_engine="InnoDB")


def side_table(name: str, *items: SchemaItem) -> Table:
    """A table of our own beside the AWS ones; its text compares byte by byte."""
    return Table(
        name,
        metadata,
        *items,
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )


issuer = _table(
    "issuer",
    _text("issuerofpatientid", required=True),
    _text("description", 1024),
    UniqueConstraint("issuerofpatientid", name="issuer_unique"),
)

patient = _table(
    "patient",
    _parent("issuer"),
    _text("patientid"),
    _text("patientname"),
    Column("patientbirthdate", Date),
    _text("patientsex", 16),
    Column("patientcomments", Text),
    UniqueConstraint("patientid", "issuer_pkey", name="patient_unique"),
    Index("patient_patientid", "patientid"),
    Index("patient_patientname", "patientname"),
    Index("patient_birthdate", "patientbirthdate"),
)

study = _table(
    "study",
    _parent("patient"),
    _text("studyinstanceuid", 64, required=True),
    _text("accessionnumber"),
    _text("studyid"),
    Column("studydate", Date),
    Column("studytime", Clock),
    _text("studydescription"),
    _text("referringphysicianname"),
    Column("numberofstudyrelatedseries", Integer),
    Column("numberofstudyrelatedinstances", Integer),
    UniqueConstraint("studyinstanceuid", name="study_unique"),
    Index("study_accessionnumber", "accessionnumber"),
    Index("study_studyid", "studyid"),
    Index("study_date_time_uid", "studydate", "studytime", "studyinstanceuid"),
)

series = _table(
    "series",
    _parent("study"),
    _text("seriesinstanceuid", 64, required=True),
    _text("modality", 16),
    _text("seriesnumber", 12),
    _text("seriesdescription"),
    _text("institutionname"),
    _text("bodypartexamined"),
    _text("stationname"),
    _text("manufacturer"),
    _text("protocolname"),
    _text("laterality", 16),
    Column("numberofseriesrelatedinstances", Integer),
    UniqueConstraint("seriesinstanceuid", name="series_unique"),
    Index("series_study_modality", "study_pkey", "modality"),
    Index("series_modality_study", "modality", "study_pkey"),
)

instance = _table(
    "instance",
    _parent("series"),
    _text("sopinstanceuid", 64, required=True),
    _text("sopclassuid", 64, required=True),
    _text("imagetype"),
    Column("instancenumber", Integer),
    Column("acquisitiondate", Date),
    Column("acquisitiontime", Clock),
    Column("contentdate", Date),
    Column("contenttime", Clock),
    _text("photometricinterpretation", 16),
    Column("numberofframes", Integer),
    Column("rows", Integer, quote=True),
    Column("columns", Integer, quote=True),
    Column("bitsallocated", Integer),
    Column("bitsstored", Integer),
    Column("highbit", Integer),
    _text("rescaleslope", 16),
    _text("rescaleintercept", 16),
    Column("pixelrepresentation", Integer),
    Column("windowcenter", Text),
    Column("windowwidth", Text),
    Column("observationtime", DateTime),
    _text("contentdescription"),
    Column("imageset_pkey", Key, nullable=False),
    UniqueConstraint("sopinstanceuid", name="instance_unique"),
    Index("instance_series_number", "series_pkey", "instancenumber"),
    Index("instance_imageset", "imageset_pkey"),
)

frame = _table(
    "frame",
    _parent("instance"),
    Column("imageset_pkey", Key, nullable=False),
    Column("framenumber", Integer, nullable=False),
    _text("frameid", 32, required=True),
    UniqueConstraint("frameid", name="frame_unique"),
    Index("frame_instance", "instance_pkey"),
    Index("frame_imageset", "imageset_pkey"),
)

imageset = _table(
    "imageset",
    Column("series_pkey", Key, nullable=False),
    _text("imagesetid", 32, required=True),
    _text("datastoreid", 32, required=True),
    UniqueConstraint("imagesetid", "datastoreid", name="imageset_unique"),
    Index("imageset_datastoreid", "datastoreid"),
    Index("imageset_series", "series_pkey"),
)

conflict = _table(
    "conflict",
    Column("series_pkey", Key, nullable=False),
    Column("imageset_pkey", Key, nullable=False),
    Column("priority", Integer, nullable=False),
    _text("conflict_type", 32),
)

importjob = _table(
    "importjob",
    _text("sourceprefix", 2048, required=True),
    _text("manifestprefix", 2048, required=True),
    Column("submittedat", DateTime, nullable=False),
    Column("startedat", DateTime),
    Column("completedat", DateTime),
    Column("logicalstatus", Integer, nullable=False),
    _text("ahijobid", 32, required=True),
    Column("ahijobstatus", Integer),
)

imagetype = _table("imagetype", _text("type", 16, required=True))

tag = _table(
    "tag",
    Column("series_pkey", Key, nullable=False),
    Column("imageset_pkey", Key, nullable=False),
    Column("key", String(256), nullable=False, quote=True),
    _text("value", 256, required=True),
    _text("description", 1024),
)
